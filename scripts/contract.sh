#!/bin/sh
# `npm run contract`: the contract suite of the hypervisors on one of them; `npm run contract -- --help` tells its options.
set -eu
cd "$(dirname "$0")/.."
sh scripts/ensure-dependencies.sh
# On an illumos host nothing is installed for the tests: they use what it has.
[ "$(uname -s)" != Linux ] || sh scripts/setup-host.sh --tests --quiet
PATH=$PWD/node_modules/.bin:$PATH
export PATH
exec node --disable-warning=ExperimentalWarning test/hypervisor-contract/contract-main.ts "$@"
