# Packs and unpacks the paths of a cache. Sourced by cache.sh.
# shellcheck shell=sh disable=SC2034,SC2154  # variables are shared with the files beside this one

find_archive_tools() {
  tar=''
  for candidate in gtar tar; do
    if have $candidate; then tar=$candidate && break; fi
  done
  [ -n "$tar" ] || return 1
  # The tar of illumos needs the letter E to keep long names; others keep them by default and reject the letter.
  pack_letters=cf
  case $($tar --version 2>&1 </dev/null) in
    *GNU* | *bsdtar* | *[Bb]usy[Bb]ox*) ;;
    *) [ "$(uname -s)" != SunOS ] || pack_letters=cEf ;;
  esac
}

can_unpack() {
  case $compression in
    none) ;;
    zstd | gzip) have "$compression" ;;
    *) return 1 ;;
  esac
}

# in_root CHECKOUT|HOME COMMAND ARGUMENT...: calls `COMMAND KIND ARGUMENT...` in the root directory of that kind of
# paths.
in_root() (
  case $1 in
    HOME) cd "$HOME" || exit 1 ;;
    *) cd "$work/checkout" || exit 1 ;;
  esac
  kind=$1 command=$2
  shift 2
  "$command" "$kind" "$@"
)

is_there() { [ -e "$1" ] || [ -L "$1" ]; }

# Packs the checkout's paths, then the home directory's, as two archives in one file.
pack() {
  trouble=''
  if have zstd; then compression=zstd
  elif have gzip; then compression=gzip
  else compression=none
  fi
  rm -f "$exchange/pack-failed" "$exchange/packed"
  true >"$archive" && in_root CHECKOUT pack_paths || return 1
  first_part=$(($(wc -c <"$archive")))
  in_root HOME pack_paths || return 1
  [ ! -e "$exchange/pack-failed" ] || return 1
  [ -e "$exchange/packed" ] || { trouble='none of its paths exists' && return 1; }
}

# pack_paths CHECKOUT|HOME: packs the paths that exist. The positional parameters serve as the only list of plain sh.
pack_paths() {
  root=PLAN_CACHE_${number}_$1
  shift
  eval "count=\$${root}_COUNT"
  path_number=1
  while [ "$path_number" -le "$count" ]; do
    eval "path=\$${root}_$path_number"
    if is_there "./$path"; then set -- "$@" "./$path"; else report "$path does not exist"; fi
    path_number=$((path_number + 1))
  done
  [ $# -gt 0 ] || return 0
  true >"$exchange/packed"
  { $tar "$pack_letters" - "$@" || true >"$exchange/pack-failed"; } | compress >>"$archive"
}

compress() {
  case $compression in
    zstd) zstd -q -T0 -c ;;
    gzip) gzip -c ;;
    none) cat ;;
  esac
}

decompress() {
  case $compression in
    zstd) zstd -q -d -c ;;
    gzip) gzip -d -c ;;
    none) cat ;;
  esac
}

# Unpacks $archive; owners, modes, times and links are restored.
unpack() {
  umask 022
  if [ "$first_part" -gt 0 ]; then
    head -c "$first_part" "$archive" | decompress | in_root CHECKOUT unpack_here || return 1
  fi
  [ "$first_part" -ge "$size" ] ||
    tail -c "+$((first_part + 1))" "$archive" | decompress | in_root HOME unpack_here
}

unpack_here() { $tar xpf -; }

# Marks absent paths, so that a failed unpacking can be removed without removing older files: an incomplete directory
# is worse than none.
remember_absent() {
  rm -rf "$exchange/absent"
  mkdir -p "$exchange/absent"
  in_root CHECKOUT for_paths note_absent
  in_root HOME for_paths note_absent
}

remove_unpacked() {
  in_root CHECKOUT for_paths remove_if_absent
  in_root HOME for_paths remove_if_absent
}

# for_paths CHECKOUT|HOME COMMAND: calls COMMAND with each path of a kind, and the file that marks an absent path.
for_paths() {
  root=$1 command=$2
  eval "count=\$PLAN_CACHE_${number}_${root}_COUNT"
  path_number=1
  while [ "$path_number" -le "$count" ]; do
    eval "path=\$PLAN_CACHE_${number}_${root}_$path_number"
    $command "./$path" "$exchange/absent/$root-$path_number"
    path_number=$((path_number + 1))
  done
}

note_absent() { is_there "$1" || true >"$2"; }

remove_if_absent() { [ ! -e "$2" ] || rm -rf "$1"; }
