#!/bin/sh
# A step of `npm version`: moves the entries below "Unreleased" in CHANGELOG.md to a section with the new version and today's date
# (UTC), and stages the file. Fails, and changes nothing, if there are no entries.
#
# Usage: scripts/release-changelog.sh [VERSION]     (default: npm_package_version, which npm sets)
set -eu
cd "$(dirname "$0")/.."
version=${1:-${npm_package_version:-}}

fail() {
  printf 'release-changelog: %s\n' "$*" >&2
  exit 1
}

[ -n "$version" ] || fail "the version is missing: give VERSION, or run npm version, which sets npm_package_version"
grep -qx '## Unreleased' CHANGELOG.md || fail "CHANGELOG.md has no line '## Unreleased'"
if grep -q "^## $version (" CHANGELOG.md; then fail "CHANGELOG.md already has a section $version"; fi
changes=$(awk '/^## / { inside = ($0 == "## Unreleased"); next } inside && /^- /' CHANGELOG.md)
[ -n "$changes" ] || fail "CHANGELOG.md has no entries below '## Unreleased': add one before the release"

released=$(mktemp)
trap 'rm -f "$released"' EXIT
awk -v heading="## $version ($(date -u +%Y-%m-%d))" '
  { print }
  $0 == "## Unreleased" { print ""; print heading }' CHANGELOG.md >"$released"
cat "$released" >CHANGELOG.md
git add CHANGELOG.md
