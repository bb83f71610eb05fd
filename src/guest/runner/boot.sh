#!/bin/sh
# Starts the runner in the background, once the seed has put its files here, and returns at once: the boot goes on.
# Where systemd runs, the runner is a unit of it; elsewhere this script stays behind as its supervisor (`supervise`).
# Either way, when something kills the runner, `runner.sh aftermath` tells the orchestrator what it can.

here=${0%/*}
unit=solstice-runner.service
hosts=/etc/hosts
: "${PATH:=/usr/bin:/bin}"
for directory in /usr/local/sbin /usr/local/bin /usr/sbin /usr/bin /sbin /bin /usr/gnu/bin /opt/ooce/bin; do
  case :$PATH: in *:$directory:*) ;; *) [ ! -d $directory ] || PATH=$PATH:$directory ;; esac
done
SOLSTICE_CONF=$here/runner.conf
export PATH SOLSTICE_CONF

# The second serial port, which guests have whose jobs may be entered when they have failed.
shell_device=''
for device in /dev/ttyS1 /dev/cuau1 /dev/term/b; do
  [ ! -c $device ] || shell_device=$device
done

# Whoever looks why a guest does not report finds the answer on its console.
say() { { echo "solstice: $*" >/dev/console; } 2>/dev/null || echo "solstice: $*"; }

# Programs look their own machine up by its name. Only Linux answers for every address that begins with 127.
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

# IgnoreSIGPIPE: `yes | head` in a step has to end. The limits are those of systemd, as in a login.
# KillMode: what the job leaves behind ends with the runner. OOM: the kernel takes the job first, and systemd does not
# take that for a failure of the unit. Conflicts: a guest that shuts down ends the runner while there is a network.
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
  # --no-block, since the boot waits for us. A reload, which takes a second in an emulated guest, is seldom needed.
  systemctl start --no-block $unit || { systemctl daemon-reload && systemctl start --no-block $unit; }
}

start_supervisor() {
  console=/dev/console
  [ -w $console ] || console=/dev/null
  SOLSTICE_POWEROFF=yes SOLSTICE_LOGIN=yes SOLSTICE_SHELL_DEVICE=$shell_device
  export SOLSTICE_POWEROFF SOLSTICE_LOGIN SOLSTICE_SHELL_DEVICE
  # Not with `&` where something else can start it: the job, and the shells of people, would ignore Ctrl-C for good.
  setsid -f true 2>/dev/null && setsid -f /bin/sh "$0" supervise </dev/null >$console 2>&1 && return
  start-stop-daemon -S -b -p "$here/supervisor.pid" -x /bin/sh -- "$0" supervise 2>/dev/null && return
  # Out of the session of who boots, or at least deaf to its end; neither is everywhere.
  apart=''
  if command -v setsid >/dev/null 2>&1; then apart=setsid
  elif command -v nohup >/dev/null 2>&1; then apart='nohup'
  fi
  # shellcheck disable=SC2086  # perhaps no word at all
  $apart /bin/sh "$0" supervise </dev/null >$console 2>&1 &
}

# A dead server's address is given up on after 31 s instead of two minutes. Linux only; no matter elsewhere.
shorten_connects() { { echo 4 >/proc/sys/net/ipv4/tcp_syn_retries; } 2>/dev/null; }

if [ "${1:-}" = supervise ]; then
  # Whoever started it may have sent its words nowhere.
  { true >/dev/console; } 2>/dev/null && exec >/dev/console 2>&1
  /bin/sh "$here/runner.sh" run
  exec /bin/sh "$here/runner.sh" aftermath
fi
shorten_connects
name_itself
if [ -d /run/systemd/system ] && command -v systemctl >/dev/null 2>&1 && start_unit; then say "runner started by systemd"
else start_supervisor && say "runner started"
fi
