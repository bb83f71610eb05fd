#!/bin/sh
# `npm run bench`: runs the benchmarks; `npm run bench -- --help` prints the sections and options.
set -eu
cd "$(dirname "$0")/.."
sh scripts/ensure-dependencies.sh
sh scripts/setup-host.sh --tests --quiet
PATH=$PWD/node_modules/.bin:$PATH
export PATH
exec node --disable-warning=ExperimentalWarning bench/main.ts "$@"
