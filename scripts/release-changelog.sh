#!/bin/sh
# A step of `npm version`: gives what is below "Unreleased" in CHANGELOG.md the new version and today's date (UTC), leaves an empty
# "Unreleased" above it, and stages the file. Fails, and changes nothing, when there is nothing to release.
#
# Usage: scripts/release-changelog.sh [VERSION]     (default: npm_package_version, which npm sets)
set -eu
cd "$(dirname "$0")/.."
version=${1:-${npm_package_version:-}}

fail() {
  printf 'release-changelog: %s\n' "$*" >&2
  exit 1
}

[ -n "$version" ] || fail "which version? npm version says so by npm_package_version"
grep -qx '## Unreleased' CHANGELOG.md || fail "CHANGELOG.md has no line '## Unreleased'"
if grep -q "^## $version (" CHANGELOG.md; then fail "CHANGELOG.md has a section $version already"; fi
changes=$(awk '/^## / { inside = ($0 == "## Unreleased"); next } inside && /^- /' CHANGELOG.md)
[ -n "$changes" ] || fail "nothing is below '## Unreleased' in CHANGELOG.md: there is nothing to release"

released=$(mktemp)
trap 'rm -f "$released"' EXIT
awk -v heading="## $version ($(date -u +%Y-%m-%d))" '
  { print }
  $0 == "## Unreleased" { print ""; print heading }' CHANGELOG.md >"$released"
cat "$released" >CHANGELOG.md
git add CHANGELOG.md
