#!/bin/sh
# Packs the checkout and compares the files of the tarball with the product's files: an extra file is test support or a
# development script, a missing file breaks the installed product.
set -eu
cd "$(dirname "$0")/.."
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
trap 'exit 1' INT TERM

# Prints the files of the checkout, also those that are not committed.
checkout_files() {
  git ls-files --cached --others --exclude-standard "$@" | while read -r file; do
    [ ! -f "$file" ] || echo "$file"
  done
}

# Prints the files that the tarball must have: unchanged files, and the compiled file of each module of the product.
expected_files() {
  checkout_files package.json README.md LICENSE CHANGELOG.md bin deploy docs examples proto/solstice scripts/setup-host.sh
  checkout_files images | grep -vx images/smoke.sh
  checkout_files 'src/*.ts' | grep -v -e '/testing/' -e '\.test\.ts$' | sed 's|^src/|dist/|; s|\.ts$|.js|'
  checkout_files src/guest/runner | sed 's|^src/|dist/|'
}

# Prints modules that the unpacked tarball imports and that are missing.
missing_imports() {
  grep -roE '(from |import |import\()"\.[^"]+"' dist | sed -E 's|^(.*)/[^/]+:.*"(.*)"$|\1/\2|' | LC_ALL=C sort -u |
    while read -r module; do [ -f "$module" ] || echo "$module"; done
}

tarball=$(sh scripts/pack.sh "$directory")
expected_files | LC_ALL=C sort >"$directory/expected"
tar --list --file "$tarball" | sed 's|^package/||' | LC_ALL=C sort >"$directory/packed"
if ! diff "$directory/expected" "$directory/packed" >"$directory/difference"; then
  echo "The tarball's files differ from the product's ('<' is missing, '>' is extra): see \"files\" in package.json."
  grep '^[<>]' "$directory/difference"
  exit 1
fi
tar --extract --file "$tarball" --directory "$directory"
cd "$directory/package"
missing=$(missing_imports)
[ -z "$missing" ] || { echo "Modules of the tarball import missing files:"; echo "$missing"; exit 1; }
