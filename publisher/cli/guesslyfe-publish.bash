# bash completion for guesslyfe-publish: events, their fields as flags, verbs, their flags, and options, all
# asked of the program itself.
_guesslyfe_publish_verbs()
{
    "$1" --help 2>/dev/null | sed -nE 's/^  guesslyfe-publish ([a-z]+)( .*)?$/\1/p' | tr '\n' ' '
}

# The first word that is a verb, or an event.
_guesslyfe_publish_named()
{
    local word
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        if [[ " $1 " == *" $word "* ]]; then
            printf '%s' "$word"
            return
        fi
    done
}

_guesslyfe_publish()
{
    local current words events verbs event verb program=$1
    # An event's name has a colon, at which bash may have split it.
    if declare -F _get_comp_words_by_ref >/dev/null; then
        local COMP_WORDS_WHOLE
        _get_comp_words_by_ref -n : -c current -w COMP_WORDS_WHOLE
        local -a COMP_WORDS=("${COMP_WORDS_WHOLE[@]}")
    else
        current=${COMP_WORDS[COMP_CWORD]}
    fi
    verbs=$(_guesslyfe_publish_verbs "$program")
    events=$("$program" events 2>/dev/null | awk '{print $1}' | tr '\n' ' ')
    verb=$(_guesslyfe_publish_named "$verbs")
    if [[ $current == -* ]]; then
        words=$("$program" --help 2>/dev/null | grep -oE '^  --[a-z][a-z-]*' | tr -d ' ')
        words+=" --lines --version"
        event=$(_guesslyfe_publish_named "$events")
        if [[ -n $verb ]]; then
            words+=" $("$program" "$verb" --help 2>/dev/null | grep -oE '^  --[a-z-]+' | tr -d ' ')"
        elif [[ -n $event ]]; then
            words+=" $("$program" describe "$event" 2>/dev/null | grep -oE '^  --[a-z-]+' | tr -d ' ')"
        fi
    elif [[ $verb == describe ]]; then
        words=$events
    elif [[ -z $verb ]]; then
        words="$verbs $events"
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
    if declare -F __ltrim_colon_completions >/dev/null; then
        __ltrim_colon_completions "$current"
    fi
}
complete -F _guesslyfe_publish guesslyfe-publish
