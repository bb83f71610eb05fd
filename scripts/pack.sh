#!/bin/sh
# Packs the checkout, also files that are not committed, into DIRECTORY, and prints the path of the tarball. Builds in a copy,
# without changing the checkout's dist, so that several copies of this script may run at once.
#
# Usage: scripts/pack.sh DIRECTORY
set -eu
[ $# -eq 1 ] || { echo "usage: scripts/pack.sh DIRECTORY" >&2; exit 2; }
destination=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
trap 'exit 1' INT TERM

# git lists a removed file until the removal is committed.
git ls-files -z --cached --others --exclude-standard |
  tar --create --null --files-from=- --ignore-failed-read --warning=no-failed-read |
  tar --extract --directory "$copy"
ln -s "$PWD/node_modules" "$copy/node_modules"
cd "$copy"
name=$(npm pack --silent --pack-destination "$destination")
echo "$destination/$name"
