#!/bin/sh
# Builds a guest image once and keeps it; says where it is on the last line of stdout.
# Usage: images/build.sh NAME [--cache DIR]
#   NAME     a folder here with a build.sh: tiny, debian
#   --cache  default /var/cache/solstice/images as root, else ${XDG_CACHE_HOME:-~/.cache}/solstice/images
# The file name carries a hash of the recipe, so an edited recipe is built again. Safe to run several times at once.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
lock_wait_seconds=1800
# An image of an older recipe goes away, but not under the feet of someone who may be making an overlay on it.
unused_minutes=120

fail() {
  printf 'images: %s\n' "$*" >&2
  exit 1
}

default_cache() {
  if [ "$(id -u)" -eq 0 ]; then
    echo /var/cache/solstice/images
  else
    echo "${XDG_CACHE_HOME:-$HOME/.cache}/solstice/images"
  fi
}

parse_arguments() {
  name=
  cache=$(default_cache)
  while [ $# -gt 0 ]; do
    case $1 in
      --cache)
        [ $# -ge 2 ] || fail "--cache needs a directory"
        cache=$2
        shift
        ;;
      -*) fail "unknown option $1. Known: --cache DIR" ;;
      *) name=$1 ;;
    esac
    shift
  done
  if [ -z "$name" ] || [ ! -f "$here/$name/build.sh" ]; then
    known=$(for recipe in "$here"/*/build.sh; do basename "$(dirname "$recipe")"; done | tr '\n' ' ')
    fail "usage: images/build.sh NAME [--cache DIR], where NAME is one of: $known"
  fi
}

# Prints a hash over names and contents of everything the image is made from.
recipe_hash() {
  (cd "$here" && find "$name" lib -type f | LC_ALL=C sort | xargs sha256sum | sha256sum | cut -c 1-16)
}

remove_unused() {
  find "$cache" -maxdepth 1 -type f -name "$name-????????????????.qcow2" ! -name "${image##*/}" \
    -mmin "+$unused_minutes" -delete
}

build() {
  started=$(date +%s)
  echo "==> building guest image $name" >&2
  partial="$cache/.$name-$$.partial"
  trap 'rm -f "$partial"' EXIT
  trap 'exit 1' INT TERM
  "$here/$name/build.sh" "$partial" 9>&- || fail "building $name failed; the reason is above"
  chmod 0644 "$partial"
  mv "$partial" "$image"
  remove_unused
  echo "==> built $name in $(($(date +%s) - started)) s" >&2
}

main() {
  parse_arguments "$@"
  umask 022
  mkdir -p "$cache" || fail "cannot make $cache; choose another with --cache"
  cache=$(cd "$cache" && pwd)
  image="$cache/$name-$(recipe_hash).qcow2"
  if [ ! -f "$image" ]; then
    exec 9>"$cache/.$name.lock"
    flock -w "$lock_wait_seconds" 9 || fail "another build of $name has held $cache/.$name.lock for $lock_wait_seconds s"
    [ -f "$image" ] || build
  fi
  # The time of the file tells a later build that this recipe is still in use.
  touch -c "$image" 2>/dev/null || true
  echo "$image"
}

main "$@"
