#!/bin/sh
# The service under a real systemd, run as root in a Debian guest: installed, started, reloaded, restarted, upgraded,
# stopped, emptied and removed while jobs of HYPERVISOR=noop run in it. Prints the facts that the test reads, one in
# each line.
#
# Usage: systemd-life.sh URL-OF-DEB
set -eu
exec 2>&1

unit=solstice-orchestrator.service
# A directory that the unit allows jobs to write to.
marks=/var/lib/solstice/marks
patience_seconds=240

say() { printf '%s: %s\n' "$1" "$2"; }
property() { systemctl show --property "$1" --value "$unit"; }
api() {
  curl -sS --fail-with-body --max-time 60 -H 'content-type: application/json' -d "$2" \
    "http://127.0.0.1:7410/solstice.v1.JobService/$1"
}
# The first value of a field of a response.
field() { grep -o "\"$1\":\"\\{0,1\\}[^\",}]*" | head -n 1 | sed 's/.*[:"]//'; }
job() { api Get "{\"jobId\":\"$1\"}"; }

# until_it WORDS COMMAND...: repeats the command until it succeeds.
until_it() {
  words=$1
  shift
  waited=0
  until "$@" >/dev/null 2>&1; do
    waited=$((waited + 1))
    if [ "$waited" -gt "$patience_seconds" ]; then
      say "waited in vain" "$words"
      journalctl --no-pager -u "$unit" -n 60 || systemctl status "$unit" || true
      exit 1
    fi
    sleep 1
  done
}

# submit NAME: starts a job that runs until $marks/NAME-go exists. Leaves its id in $id.
submit() {
  script="echo before; echo \$\$ >$marks/$1-pid; while [ ! -e $marks/$1-go ]; do sleep 0.2; done; echo after; : >$marks/$1-ended"
  id=$(api Submit "{\"jobRequestJson\":\"{\\\"request_id\\\":\\\"$2\\\",\\\"script\\\":\\\"$script\\\"}\"}" | field id)
  [ -n "$id" ] || { say "not taken" "job $1" && exit 1; }
  until_it "job $1 runs" test -s "$marks/$1-pid"
  pid=$(cat "$marks/$1-pid")
}
is_job_alive() { kill -0 "$pid"; }
is_active() { [ "$(property ActiveState)" = active ] && api Capacity '{}'; }
has_ended() { [ "$(job "$id" | field state)" = succeeded ]; }
has_status() { property StatusText | grep -q "$1"; }
is_other_process() { [ "$(property MainPID)" != "$before" ] && is_active; }

curl -fsS -o /root/solstice.deb "$1"
# Libvirt and QEMU are needed for virtual machines only, and no job here uses one.
dpkg --force-depends --force-unsafe-io --install /root/solstice.deb >/root/install.log 2>&1 || { cat /root/install.log && exit 1; }
mkdir -p "$marks"
printf 'HYPERVISOR=noop\nNOOP_RUNNER=process\nRUNNER_LISTEN=127.0.0.1:7411\nDISK_RESERVE_MB=64\n' >>/etc/solstice/orchestrator.env
systemctl start "$unit"
# Type=notify: a started service accepts calls.
api Capacity '{}' >/dev/null
say started "$(property Type) $(property NotifyAccess) $(property ActiveState) $(property SubState)"
say status "$(property StatusText)"

submit one 0b5f0f63-8d0f-4d3b-9e57-0a3f2a6fd001
sed -i 's/^aliases:$/aliases:\n  reloaded: debian-12/' /etc/solstice/images.yaml
systemctl reload "$unit"
until_it "the reload" has_status '^reloaded: '
say reload "$(property StatusText)"
echo 'typo: 1' >>/etc/solstice/images.yaml
echo 'MAX_HOLDS=many' >>/etc/solstice/orchestrator.env
systemctl reload "$unit"
until_it "the refused reload" has_status '^Not reloaded: '
say "wrong reload" "$(property StatusText)"
sed -i '/^typo: 1$/d' /etc/solstice/images.yaml
sed -i '/^MAX_HOLDS=many$/d' /etc/solstice/orchestrator.env

before=$(property MainPID)
systemctl restart "$unit"
[ "$(property MainPID)" != "$before" ] && is_job_alive && say restart "another process, and the job of before"
before=$(property MainPID)
dpkg --force-depends --force-unsafe-io --install /root/solstice.deb >/root/upgrade.log 2>&1 || { cat /root/upgrade.log && exit 1; }
until_it "the upgrade restarts the service" is_other_process
is_job_alive && say upgrade "another process, and the job of before"
systemctl stop "$unit"
is_job_alive && say stop "$(property ActiveState) $(property Result), and the job goes on"
systemctl start "$unit"
: >"$marks/one-go"
until_it "job one ends" has_ended
say "job one" "attempt $(job "$id" | field attempt), $(job "$id" | field completeness), failed starts $(property NRestarts)"

solstice drain --timeout 60s >/root/drain.log && say drain "$(sed 's/Host [^ ]*/Host/' /root/drain.log)"
solstice drain --end >/dev/null
submit two 0b5f0f63-8d0f-4d3b-9e57-0a3f2a6fd002
(sleep 5 && : >"$marks/two-go") &
dpkg --remove solstice-ci >/root/remove.log 2>&1 || { cat /root/remove.log && exit 1; }
[ -e "$marks/two-ended" ] && say remove "job two was let end"
is_job_alive 2>/dev/null || say removed "no guest is left"
