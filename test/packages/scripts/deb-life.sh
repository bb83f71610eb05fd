#!/bin/sh
# The life of the Debian package on a machine, run by clean-root.sh: installed, set up, upgraded, removed, purged.
# Prints the facts that the test reads.
#
# Usage: deb-life.sh OLD.deb NEW.deb
set -eu
exec 2>&1

# Runs a step and prints its output between two marks.
step() {
  echo "== $1"
  shift
  "$@" </dev/null || echo "exit: $?"
}

state() { dpkg-query -W -f '${db:Status-Status} ${Version}\n' solstice-ci; }
settings() { (cd /etc/solstice && stat -c '%n %a %U' ./*; grep MAX_CONCURRENCY orchestrator.env); }
enabled() { find /etc/systemd/system/multi-user.target.wants -name '*solstice*'; }
left() { for path in /usr/lib/solstice-ci /usr/bin/solstice /etc/solstice /var/lib/solstice; do [ ! -e "$path" ] || echo "$path"; done; }

# The required packages are those of this machine; the install fails when one is missing.
step install dpkg --install "$1"
step installed state
step settings settings
step enabled enabled
step unit systemd-analyze verify solstice-orchestrator.service
# With the environment of the service.
step doctor sh -c 'set -a; . /etc/solstice/orchestrator.env; solstice doctor --hypervisor noop'
step node sh -c 'dpkg --listfiles solstice-ci | grep /bin/node$; command -v solstice'
mkdir -p /var/lib/solstice/state
echo MAX_CONCURRENCY=7 >>/etc/solstice/orchestrator.env
step upgrade dpkg --install "$2"
step upgraded state
step settings-kept settings
step removal dpkg --remove solstice-ci
step removed left
step purge dpkg --purge solstice-ci
step purged left
step enabled-after enabled
