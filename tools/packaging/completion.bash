# SPDX-License-Identifier: GPL-2.0-or-later
# bash completion for ftpalg. The program is asked what it knows, so that nothing here can be out of date.

_ftpalg_subcommands() { sed -n '/^Subcommands:/,$ s/^  \([a-z][a-z-]*\).*/\1/p' <<<"$1"; }

_ftpalg() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}
  local -a command=("${COMP_WORDS[0]}")
  local help word before= words=
  help=$("${command[@]}" --help 2>/dev/null)
  # Down to the subcommand that is meant. What follows an option may be its value, and spelled like one.
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    if [[ $before != --* && $word != -* ]] && grep -qxF -e "$word" <<<"$(_ftpalg_subcommands "$help")"; then
      command+=("$word")
      help=$("${command[@]}" --help 2>/dev/null)
    fi
    before=$word
  done

  # "--format TEXT:{nft,iptables}" has values to choose from, "--queue UINT" one that only the user knows, "--json" none.
  local argument=
  [[ $previous != -* ]] || argument=$(sed -n "s/^  \(-[a-z],\)\?$previous \([A-Z][A-Z]*[: ].*\)/\2/p;
                                              s/^  $previous,--[a-z-]* \([A-Z][A-Z]*[: ].*\)/\1/p" <<<"$help")
  case $argument in
    *:\{*\}*)
      words=${argument#*:\{}
      words=${words%%\}*}
      words=${words//,/ }
      ;;
    TEXT*file* | TEXT*File* | TEXT*path*) ;;
    ?*) return ;;
    *)
      if [[ $current == -* ]]; then
        words=$(grep -oE '^  (-[a-z],)?--[a-z0-9-]+' <<<"$help" | grep -oE -e '--.*')
      else
        words=$(_ftpalg_subcommands "$help")
      fi
      ;;
  esac
  if [[ -n $words ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
  elif [[ -n $argument ]] || grep -q '^  [a-z]* TEXT.* file' <<<"$help"; then
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
  fi
}

complete -F _ftpalg ftpalg
