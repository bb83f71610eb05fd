#!/bin/sh
# `npm run contract`: the contract suite of the hypervisors, on one of them; `npm run contract -- --help` prints the options.
set -eu
cd "$(dirname "$0")/.."
sh scripts/ensure-dependencies.sh
# On an illumos host this script installs nothing: the tests use the host's programs.
[ "$(uname -s)" != Linux ] || sh scripts/setup-host.sh --tests --quiet
PATH=$PWD/node_modules/.bin:$PATH
export PATH
exec node --disable-warning=ExperimentalWarning test/hypervisor-contract/contract-main.ts "$@"
