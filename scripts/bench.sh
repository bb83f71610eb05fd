#!/bin/sh
# `npm run bench`: measures, and judges nothing; `npm run bench -- --help` tells its sections and options.
set -eu
cd "$(dirname "$0")/.."
sh scripts/ensure-dependencies.sh
sh scripts/setup-host.sh --tests --quiet
PATH=$PWD/node_modules/.bin:$PATH
export PATH
exec node --disable-warning=ExperimentalWarning bench/main.ts "$@"
