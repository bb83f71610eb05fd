#!/bin/sh
# `npm run check`: all static checks of the code. Each check runs even if a previous check failed, so that one run shows all
# problems.
set -eu
cd "$(dirname "$0")/.."
sh scripts/ensure-dependencies.sh
PATH=$PWD/node_modules/.bin:$PATH
export PATH
failed=

check() {
  name=$1
  shift
  if output=$("$@" 2>&1); then
    echo "ok      $name"
  else
    echo "FAILED  $name"
    echo "$output"
    failed="$failed $name"
  fi
}

# The dependency checker also passes when it finds no modules, as with a version of TypeScript that it does not support.
imports() {
  report=$(depcruise src --output-type err --config .dependency-cruiser.js) || { echo "$report"; return 1; }
  modules=$(echo "$report" | sed -n 's/.*(\([0-9]*\) modules.*/\1/p')
  [ "${modules:-0}" -ge 100 ] || { echo "only ${modules:-0} modules were checked: $report"; return 1; }
}

# src/gen is committed, so that running needs no generator. It must equal the generator's output for proto/.
generated() {
  fresh=$(mktemp -d)
  buf generate --output "$fresh" && diff -r src/gen "$fresh/src/gen"
  status=$?
  rm -rf "$fresh"
  return $status
}

shell_scripts() {
  if ! command -v shellcheck >/dev/null; then
    echo "shellcheck is missing: apt-get install shellcheck"
    return 1
  fi
  git ls-files -z --cached --others --exclude-standard '*.sh' bin/solstice .ci/run 'packaging/deb/p*' | xargs -0 shellcheck
}

# Later versions keep the contract of a release: a runner in an image may be older or newer than its orchestrator.
contract() {
  buf breaking --against proto/released.txtpb && return
  echo "proto/ breaks the contract in proto/released.txtpb: add fields instead of changing them, and never reuse a field number."
  echo "Only for a release that breaks the contract on purpose: npm run accept-contract."
  return 1
}

# If npm cannot fetch an optional package, it omits the package from package-lock.json, and later refuses that file.
lock_file() { npm ci --dry-run --ignore-scripts --no-audit --no-fund --loglevel=error; }

check "package-lock.json" lock_file
check "format and lint" biome ci --colors=off --error-on-warnings .
check "types" tsc -p .
check "import direction" imports
check "dead code" knip --no-progress
check "shell scripts" shell_scripts
check "protocol buffers" buf lint
check "protocol compatibility" contract
check "generated code" generated
check "plain words" node --disable-warning=ExperimentalWarning scripts/check-words.ts
check "package" sh scripts/check-package.sh

[ -z "$failed" ] || { echo "Failed:$failed" >&2; exit 1; }
