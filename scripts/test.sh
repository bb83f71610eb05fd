#!/bin/sh
# `npm test`, `npm run test:unit`, `npm run test:all`: prepares the host, then runs the tests, or only the files given as arguments;
# `npm test -- --help` prints the options. Tests that need libvirt are skipped, with the reason, only if libvirt cannot be
# installed.
set -eu
cd "$(dirname "$0")/.."
begun=$(date +%s)
sh scripts/ensure-dependencies.sh
case " $* " in
  # Unit tests start no guest, broker or database.
  *" --unit "* | *" --help "* | *" -h "*) ;;
  *)
    if ! sh scripts/setup-host.sh --tests --quiet; then
      echo "The host could not be prepared for guests: tests that need one will be skipped." >&2
    fi
    ;;
esac
echo "Prepared in $(($(date +%s) - begun)) s."
PATH=$PWD/node_modules/.bin:$PATH
export PATH
if [ "$(node -p 'parseInt(process.versions.node)')" -lt 24 ]; then
  echo "Node 24 is missing in node_modules: remove that folder, then run npm test again." >&2
  exit 1
fi
exec node --disable-warning=ExperimentalWarning test/run/main.ts "$@"
