#!/bin/sh
# Starts the runner in the background, once the seed has written its files, and returns at once, so that the boot
# continues. With systemd the runner is a unit; elsewhere this script stays as its supervisor (`supervise`). When the
# runner is killed, `runner.sh aftermath` reports to the orchestrator instead.

here=${0%/*}
unit=solstice-runner.service
hosts=/etc/hosts
: "${PATH:=/usr/bin:/bin}"
for directory in /usr/local/sbin /usr/local/bin /usr/sbin /usr/bin /sbin /bin /usr/gnu/bin /opt/ooce/bin; do
  case :$PATH: in *:$directory:*) ;; *) [ ! -d $directory ] || PATH=$PATH:$directory ;; esac
done
SOLSTICE_CONF=$here/runner.conf
export PATH SOLSTICE_CONF

# The second serial port: the line for shells of people, in guests that may be kept after a failure.
shell_device=''
for device in /dev/ttyS1 /dev/cuau1 /dev/term/b; do
  [ ! -c $device ] || shell_device=$device
done

# Writes to the console, where people look when a guest does not report.
say() { { echo "solstice: $*" >/dev/console; } 2>/dev/null || echo "solstice: $*"; }

# Adds the machine's own name to the hosts file, because programs resolve it. Only Linux answers for every address of
# 127.
name_itself() {
  name=$(hostname 2>/dev/null || uname -n)
  [ -n "$name" ] && [ "$name" != localhost ] || return 0
  while read -r address names; do
    case $address:" $names " in '#'*) ;; *" $name "*) return 0 ;; esac
  done <"$hosts"
  address=127.0.0.1
  [ "$(uname -s)" != Linux ] || address=127.0.1.1
  printf '%s %s\n' "$address" "$name" >>"$hosts"
} 2>/dev/null

# IgnoreSIGPIPE: `yes | head` in a step must end. The limits are those of a login under systemd. KillMode: processes
# left behind by the job end with the runner. OOM: the kernel kills the job first, and systemd does not count that as a
# failure of the unit. Conflicts: a shutdown ends the runner while there still is a network.
write_unit() {
  cat >/run/systemd/system/$unit <<END
[Unit]
Description=Solstice CI runner
DefaultDependencies=no
After=network.target
Conflicts=shutdown.target
Before=shutdown.target

[Service]
Environment=PATH=$PATH SOLSTICE_CONF=$SOLSTICE_CONF SOLSTICE_POWEROFF=yes SOLSTICE_LOGIN=yes SOLSTICE_SHELL_DEVICE=$shell_device
ExecStart=/bin/sh $here/runner.sh run
ExecStopPost=/bin/sh $here/runner.sh aftermath
KillMode=control-group
TimeoutStopSec=75
OOMScoreAdjust=-900
OOMPolicy=continue
TasksMax=infinity
IgnoreSIGPIPE=no
StandardOutput=journal+console
StandardError=journal+console
END
}

start_unit() {
  mkdir -p /run/systemd/system && write_unit || return 1
  # --no-block, because the boot waits for this script. A reload, which takes a second in an emulated guest, is rarely
  # needed.
  systemctl start --no-block $unit || { systemctl daemon-reload && systemctl start --no-block $unit; }
}

start_supervisor() {
  console=/dev/console
  [ -w $console ] || console=/dev/null
  SOLSTICE_POWEROFF=yes SOLSTICE_LOGIN=yes SOLSTICE_SHELL_DEVICE=$shell_device
  export SOLSTICE_POWEROFF SOLSTICE_LOGIN SOLSTICE_SHELL_DEVICE
  # Avoid `&` where another program can start the supervisor: otherwise jobs and people's shells would ignore Ctrl-C
  # for good.
  setsid -f true 2>/dev/null && setsid -f /bin/sh "$0" supervise </dev/null >$console 2>&1 && return
  start-stop-daemon -S -b -p "$here/supervisor.pid" -x /bin/sh -- "$0" supervise 2>/dev/null && return
  # Leave the boot's session, or at least ignore its end; not every system has both programs.
  apart=''
  if command -v setsid >/dev/null 2>&1; then apart=setsid
  elif command -v nohup >/dev/null 2>&1; then apart='nohup'
  fi
  # shellcheck disable=SC2086  # $apart may be empty
  $apart /bin/sh "$0" supervise </dev/null >$console 2>&1 &
}

# A dead server's address fails after 31 s instead of two minutes. Linux only; an error elsewhere is ignored.
shorten_connects() { { echo 4 >/proc/sys/net/ipv4/tcp_syn_retries; } 2>/dev/null; }

if [ "${1:-}" = supervise ]; then
  # The parent process may have discarded the output: use the console.
  { true >/dev/console; } 2>/dev/null && exec >/dev/console 2>&1
  /bin/sh "$here/runner.sh" run
  exec /bin/sh "$here/runner.sh" aftermath
fi
shorten_connects
name_itself
if [ -d /run/systemd/system ] && command -v systemctl >/dev/null 2>&1 && start_unit; then say "runner started by systemd"
else start_supervisor && say "runner started"
fi
