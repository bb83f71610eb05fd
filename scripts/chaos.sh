#!/bin/sh
# `npm run chaos`: the fault suite of `npm test`, for as long as you like; `npm run chaos -- --help` tells its options.
set -eu
cd "$(dirname "$0")/.."
sh scripts/ensure-dependencies.sh
sh scripts/setup-host.sh --tests --quiet
PATH=$PWD/node_modules/.bin:$PATH
export PATH
exec node --disable-warning=ExperimentalWarning test/chaos/main.ts "$@"
