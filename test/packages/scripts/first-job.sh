#!/bin/sh
# The first steps of a user who has only the tarball, run by clean-root.sh: installs it for all users, checks the
# host, starts an orchestrator and runs a job of a repository. After the installation, loopback is the only network.
# Prints the facts that the test reads.
#
# Usage: first-job.sh TARBALL
set -eu

# Runs itself again without a network for the second part.
if [ "${1:-}" != offline ]; then
  npm install --global --prefer-offline --no-audit --no-fund --no-update-notifier --loglevel=error "$1" >&2
  exec unshare --net sh "$0" offline
fi

ip link set lo up
installed=$(npm root --global)/solstice-ci
echo "command: $(command -v solstice)"
echo "version: $(solstice --version)"
echo "node: $(node --version)"
cd /

echo "images: $(sh "$installed/images/build.sh" none 2>&1 || true)"
echo "set up: $(sh "$installed/scripts/setup-host.sh" --check || true)"
solstice doctor --hypervisor noop --json >/tmp/doctor.json && status=0 || status=$?
echo "doctor: $status $(tr -d '\n' </tmp/doctor.json)"

solstice orchestrator --hypervisor noop --noop-runner process --runner-listen 127.0.0.1:0 2>/tmp/orchestrator.log &
orchestrator=$!
export GIT_AUTHOR_NAME=t GIT_AUTHOR_EMAIL=t@example.invalid GIT_COMMITTER_NAME=t GIT_COMMITTER_EMAIL=t@example.invalid
cp -R "$installed/examples/demo-repository" /srv/demo
git -C /srv/demo init --quiet
git -C /srv/demo add .
git -C /srv/demo commit --quiet --message first
git daemon --export-all --listen=127.0.0.1 --base-path=/srv --detach --pid-file=/tmp/git.pid
for _ in $(seq 300); do
  curl --silent --output /dev/null http://127.0.0.1:7410/readyz && break
  kill -0 "$orchestrator" || { cat /tmp/orchestrator.log >&2; exit 1; }
  sleep 0.1
done
solstice enqueue --repo git://127.0.0.1/demo --commit "$(git -C /srv/demo rev-parse HEAD)" \
  --step 'test=python3 -m unittest -v' --wait 2>&1 || cat /tmp/orchestrator.log >&2
kill -TERM "$orchestrator"
wait "$orchestrator" && status=0 || status=$?
echo "orchestrator: $status"
