#!/bin/sh
# A host for unchanged commands of the documentation, run by clean-root.sh: with separate /etc/solstice and
# /var/lib/solstice, loopback as its only network, processes as guests, and systemctl.sh instead of systemd.
#
# Usage: page-host.sh ONLINE STEPS SYSTEMCTL PROGRAM
#   ONLINE     a shell script, commands that need this machine's network
#   STEPS      a shell script, the commands
#   SYSTEMCTL  systemctl.sh
#   PROGRAM    the command line; "installed" where STEPS install one
set -eu
exec 2>&1

if [ "${1:-}" != apart ]; then
  cd /root
  # shellcheck source=/dev/null
  . "$1"
  exec unshare --net sh "$0" apart "$@"
fi
steps=$3
ip link set lo up
install -m 0755 "$4" /usr/local/bin/systemctl
# The last line of the service's log, without systemd's journal.
printf '#!/bin/sh\ntail -n 1 /run/solstice-orchestrator.log\n' >/usr/local/bin/journalctl
chmod 0755 /usr/local/bin/journalctl
# The service's defaults: no hypervisor.
cat >/run/page-host.env <<END
HYPERVISOR=noop
NOOP_RUNNER=process
RUNNER_LISTEN=127.0.0.1:7411
DISK_RESERVE_MB=64
END
if [ "$5" != installed ]; then
  ln -sf "$5" /usr/local/bin/solstice
  install -d -m 0755 /etc/solstice
  cat >/etc/solstice/images.yaml <<END
default_label: debian-12
images:
  debian-12: { local_path: /nonexistent/any.img, defaults: { cpu: 1, ram_mb: 128, disk_gb: 1 } }
END
  echo ORCH_CONFIG=/etc/solstice/images.yaml >/etc/solstice/orchestrator.env
fi
shift 5
cd /root
# shellcheck source=/dev/null
. "$steps"
