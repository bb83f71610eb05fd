#!/bin/sh
# `npm run chaos`: the fault suite of `npm test`, with a duration of your choice; `npm run chaos -- --help` prints the options.
set -eu
cd "$(dirname "$0")/.."
sh scripts/ensure-dependencies.sh
sh scripts/setup-host.sh --tests --quiet
PATH=$PWD/node_modules/.bin:$PATH
export PATH
exec node --disable-warning=ExperimentalWarning test/chaos/main.ts "$@"
