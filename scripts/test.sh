#!/bin/sh
# `npm test`: prepares whatever the tests need, then runs all of them, or only the files given as arguments.
# Tests that need libvirt skip, with the reason, only where it cannot be installed.
set -eu
cd "$(dirname "$0")/.."
sh scripts/ensure-dependencies.sh
if ! sh scripts/setup-host.sh --tests --quiet; then
  echo "The host could not be prepared for guests: tests that need one will be skipped." >&2
fi
PATH=$PWD/node_modules/.bin:$PATH
export PATH
files=
for argument in "$@"; do
  case $argument in
    -*) ;;
    *) files=yes ;;
  esac
done
[ -n "$files" ] || set -- "$@" 'src/**/*.test.ts' 'test/**/*.test.ts' 'bench/**/*.test.ts'
# An older Node would find no test in TypeScript files, and be content with that.
if [ "$(node -p 'parseInt(process.versions.node)')" -lt 24 ]; then
  echo "Node 24 is missing in node_modules: remove that folder, then run npm test again." >&2
  exit 1
fi
# One file at a time: guests boot under software emulation where KVM does not work, and their deadlines are real. A file may take
# half an hour: the longest, the contract on zones with a guest killed at every step, takes 11 minutes on two busy processors.
exec node --disable-warning=ExperimentalWarning --test --test-concurrency=1 --test-timeout=1800000 "$@"
