#!/bin/sh
# Lists the regular files below the working directory that match a pattern, one per line; in a name a backslash is
# written \\ and a line break \n, the format of `printf %b`. A directory stands for every file in it. `**` as a whole
# part of the pattern stands for any number of directories, except .git. Symbolic links are never followed.
# Usage: list-files.sh pattern PATTERN | under REST DIRECTORY... | files FILE...

newline='
'

# replace FROM TO: replaces all occurrences in $name.
replace() {
  done_part=''
  while :; do
    case $name in
      *"$1"*) done_part=$done_part${name%%"$1"*}$2 name=${name#*"$1"} ;;
      *) break ;;
    esac
  done
  name=$done_part$name
}

print_names() {
  for name; do
    while :; do
      case $name in ./*) name=${name#./} ;; /*) name=${name#/} ;; *) break ;; esac
    done
    # shellcheck disable=SC1003  # one backslash, and two
    case $name in *\\*) replace '\' '\\' ;; esac
    case $name in *"$newline"*) replace "$newline" '\n' ;; esac
    printf '%s\n' "$name"
  done
}

# True when an expanded word stays below the directory: a shell may expand a pattern such as .* to . and ..
stays_below() {
  case ${1#./}/ in ./* | ../* | */./* | */../*) return 1 ;; esac
}

# True when no part of the path $1 is a symbolic link; otherwise logs the link.
is_plain() {
  part=$1
  while :; do
    if [ -h "${part%/}" ]; then
      printf 'solstice: %s is a symbolic link, or behind one: not kept\n' "${1#./}" >&2
      return 1
    fi
    case $part in ./*/*) part=${part%/*} ;; *) return 0 ;; esac
  done
}

find_files() { find "$1" -name .git -prune -o -type f -exec /bin/sh "$0" files {} +; }

# Lists the files for one word of an expanded pattern.
take() {
  [ -e "$1" ] || [ -h "$1" ] || return 0
  stays_below "$1" || return 0
  is_plain "$1" || return 0
  if [ -d "$1" ]; then find_files "$1"
  elif [ -f "$1" ]; then print_names "$1"
  fi
}

# Expand patterns without splitting words.
IFS=''
case $1 in
  files) shift && print_names "$@" ;;
  under)
    rest=$2
    shift 2
    for directory; do
      # shellcheck disable=SC2086  # pattern expansion is intended
      for word in "$directory"/$rest; do take "$word"; done
    done
    ;;
  pattern)
    case /$2/ in
      */'**'/*)
        before=${2%%'**'*}
        rest=${2#"$before"'**'}
        rest=${rest#/}
        # shellcheck disable=SC2086  # pattern expansion is intended
        for start in ./$before; do
          start=${start%/}
          [ -d "$start" ] || continue
          [ "$start" = . ] || stays_below "$start" || continue
          is_plain "$start" || continue
          if [ -z "$rest" ]; then find_files "$start"
          else find "$start" -name .git -prune -o -type d -exec /bin/sh "$0" under "$rest" {} +
          fi
        done
        ;;
      *)
        # shellcheck disable=SC2086  # pattern expansion is intended
        for word in ./$2; do take "$word"; done
        ;;
    esac
    ;;
esac
