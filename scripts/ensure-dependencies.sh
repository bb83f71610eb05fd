#!/bin/sh
# Installs the npm packages (Node 24 among them) when they are missing or older than package-lock.json.
set -eu
cd "$(dirname "$0")/.."
# Without the lock, two commands that start at once in a fresh clone would damage node_modules.
if command -v flock >/dev/null 2>&1; then
  exec 9<package-lock.json
  flock 9
fi
# `npm ci --omit=dev` does not install the packages for tests and checks, such as the compiler.
if [ ! -e node_modules/.package-lock.json ] || [ ! -e node_modules/.bin/tsc ] ||
  [ -n "$(find package-lock.json -newer node_modules/.package-lock.json)" ]; then
  echo "Installing npm packages, Node 24 among them (500 MB on disk) …" >&2
  npm ci --no-audit --no-fund --no-update-notifier --loglevel=error >&2
  touch node_modules/.package-lock.json
fi
