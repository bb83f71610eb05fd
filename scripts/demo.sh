#!/bin/sh
# `npm run demo`: one job in a fresh virtual machine, from a bare clone, with one command.
set -eu
cd "$(dirname "$0")/.."
sh scripts/ensure-dependencies.sh
exec bin/solstice demo "$@"
