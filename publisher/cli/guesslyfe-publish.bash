# bash completion for guesslyfe-publish: events, their fields as flags, and options, all asked of the
# program itself.
_guesslyfe_publish_event()
{
    local word events
    events=" $("$1" events 2>/dev/null | awk '{print $1}' | tr '\n' ' ')"
    for word in "${COMP_WORDS[@]:1}"; do
        if [[ $events == *" $word "* ]]; then
            printf '%s' "$word"
            return
        fi
    done
}

_guesslyfe_publish()
{
    local current words event program=$1
    # An event's name has a colon, at which bash may have split it.
    if declare -F _get_comp_words_by_ref >/dev/null; then
        local COMP_WORDS_WHOLE
        _get_comp_words_by_ref -n : -c current -w COMP_WORDS_WHOLE
        local -a COMP_WORDS=("${COMP_WORDS_WHOLE[@]}")
    else
        current=${COMP_WORDS[COMP_CWORD]}
    fi
    if [[ $current == -* ]]; then
        words=$("$program" --help 2>/dev/null | grep -oE '^  --[a-z][a-z-]*' | tr -d ' ')
        words+=" --lines --version"
        event=$(_guesslyfe_publish_event "$program")
        if [[ -n $event ]]; then
            words+=" $("$program" describe "$event" 2>/dev/null | grep -oE '^  --[a-z-]+' | tr -d ' ')"
        fi
    else
        words="events describe $("$program" events 2>/dev/null | awk '{print $1}')"
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
    if declare -F __ltrim_colon_completions >/dev/null; then
        __ltrim_colon_completions "$current"
    fi
}
complete -F _guesslyfe_publish guesslyfe-publish
