#!/bin/sh
# Packs the checkout as it is, committed or not, into DIRECTORY, and prints the path of the tarball. Builds in a copy: the
# checkout's own dist is not touched, so that several may run at once.
#
# Usage: scripts/pack.sh DIRECTORY
set -eu
[ $# -eq 1 ] || { echo "usage: scripts/pack.sh DIRECTORY" >&2; exit 2; }
destination=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
trap 'exit 1' INT TERM

# A file that was removed and not yet committed is still in git's list.
git ls-files -z --cached --others --exclude-standard |
  tar --create --null --files-from=- --ignore-failed-read --warning=no-failed-read |
  tar --extract --directory "$copy"
ln -s "$PWD/node_modules" "$copy/node_modules"
cd "$copy"
name=$(npm pack --silent --pack-destination "$destination")
echo "$destination/$name"
