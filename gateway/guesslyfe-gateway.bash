# bash completion for guesslyfe-gateway: flags, and the values of those that have a choice, asked of
# the program itself.
_guesslyfe_gateway()
{
    local current=${COMP_WORDS[COMP_CWORD]} flag=${COMP_WORDS[COMP_CWORD - 1]} help value
    # Bash takes "=" for a word of its own: --flag=value are three.
    if [[ $current == "=" ]]; then
        current=
    elif [[ $flag == "=" && $COMP_CWORD -gt 1 ]]; then
        flag=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    help=$("$1" --help 2>/dev/null)
    # "  --flag VALUE  …": VALUE is a word in capitals, or choices with bars between them, of which N is any number.
    value=$(awk -v flag="$flag" '$1 == flag && /^  --/ && /^  --[a-z-]+ [^ ]/ { print $2 }' <<<"$help")
    COMPREPLY=()
    case $flag:$value in
        --*:FILE) mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
        --*:'N|'*) mapfile -t COMPREPLY < <(compgen -W "${value#N|}" -- "$current") ;;
        --*:*'|'*) mapfile -t COMPREPLY < <(compgen -W "${value//|/ }" -- "$current") ;;
        --*:?*) ;;
        *) mapfile -t COMPREPLY < <(compgen -W "$(grep -oE '^  --[a-z][a-z-]*' <<<"$help")" -- "$current") ;;
    esac
}
complete -F _guesslyfe_gateway guesslyfe-gateway
