#!/bin/sh
# Runs one job inside its guest and reports to the orchestrator (proto/solstice/v1/runner.proto, as Connect JSON).
# Usage: runner.sh [run | aftermath | shell NUMBER TERM ROWS COLUMNS MODE]
#   run        (the default) fetches the plan, runs its steps, reports the end
#   aftermath  sends the reports of a `run` that was killed; does nothing after a normal end
#   shell      becomes a shell in the checkout, for a person who enters the guest of a failed job
#
# There are three processes. The main process runs the steps, one after the other, in its foreground. Each step writes into
# a pipe, which `cat` appends to the spool: with the spool itself as stdout, `echo oops >/dev/stderr` would truncate it. The
# sender, in the background, sends the spool by byte offset and reports the steps; only the sender calls the orchestrator.
#
# Plain POSIX sh, and curl or wget, so that it runs in any guest, from busybox to illumos. A fork takes 10 ms in an emulated
# guest, so built-ins are preferred, and an idle sender mostly sleeps.
#
# Environment: SOLSTICE_CONF (the file with RUNNER_URL and BOOTSTRAP_TOKEN), SOLSTICE_WORK (the working directory),
# SOLSTICE_VMSTAT (for tests: a file in place of /proc/vmstat), SOLSTICE_SHELL_DEVICE (the line for shells; without it, a
# person in the guest starts `runner.sh shell`),
# SOLSTICE_LOGIN=yes (steps get the environment of a login shell; set by boot.sh),
# SOLSTICE_POWEROFF=yes (power off at the end: set only by boot.sh, so that the runner powers off guests only).
# shellcheck disable=SC2034,SC2154  # variables are shared with the files beside this one

version=1
here=${0%/*}
conf=${SOLSTICE_CONF:-/run/solstice/runner.conf}
work=${SOLSTICE_WORK:-/var/lib/solstice/job}
power_off_at_end=${SOLSTICE_POWEROFF:-no}
# The state is beside the configuration, in most guests on a memory file system, so that the runner can report a job
# that fills the disk. The spool is too large for that.
state=${conf%/*}/state
spool=$work/output
exchange=$state body=''
vmstat=${SOLSTICE_VMSTAT:-/proc/vmstat}
shell_device=${SOLSTICE_SHELL_DEVICE:-}
logs_in=${SOLSTICE_LOGIN:-no}
# The environment must not pass variables with the runner's own names on to the steps.
unset SOLSTICE_CONF SOLSTICE_WORK SOLSTICE_VMSTAT SOLSTICE_POWEROFF SOLSTICE_SHELL_DEVICE SOLSTICE_LOGIN RUNNER_URL BOOTSTRAP_TOKEN
unset token authorization

# Limits; in seconds if the name has no unit.
call_seconds=30
start_seconds=900
term_grace=5
killed_seconds=60
hold_margin=60 # the host's clock decides; this margin is for a host that has disappeared
block_bytes=4096
chunk_blocks_max=256 # 1 MiB, the orchestrator's limit for one call
chunk_blocks_min=16 # 64 KiB, which a line of 3 KB/s transfers in time
drain_polls=20
start_polls=300
refusals_max=20
stuck_max=4
flowing_polls=40 # two seconds of short pauses after output

# shellcheck source=/dev/null
. "$here/tools.sh"
# shellcheck source=/dev/null
. "$here/calls.sh"
# shellcheck source=/dev/null
. "$here/steps.sh"
# shellcheck source=/dev/null
. "$here/sender.sh"
# shellcheck source=/dev/null
. "$here/transfer.sh"
# shellcheck source=/dev/null
. "$here/artifacts.sh"
# shellcheck source=/dev/null
. "$here/hold.sh"
# shellcheck source=/dev/null
. "$here/login.sh"
# shellcheck source=/dev/null
. "$here/state.sh"

prepare() {
  umask 077
  rm -rf "$state" "$work/checkout"
  mkdir -p "$state" "$work/checkout" || return 1
  mount_state
  chmod 755 "$work/checkout"
  dd if=/dev/zero of="$state/reserve" bs="$block_bytes" count="$reserve_blocks" 2>/dev/null || rm -f "$state/reserve"
  true >"$spool" && mark events && make_fixed_files || return 1
  keep reported 0 && keep whole yes || return 1
  # Reserve for one last message when the disk is full.
  dd if=/dev/zero of="$work/reserve" bs="$block_bytes" count=4 2>/dev/null
  choose_home
}

choose_home() {
  [ -z "$HOME" ] || [ "$HOME" = / ] || return 0
  HOME=/root
  [ -w /root ] || HOME=$work/checkout
}

# Calls Start until the orchestrator answers, because name service and network may start later than the runner. Then
# reads the plan.
start() {
  token=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
  jitter=$token
  if ! { keep token "$token" && save_credentials bootstrap "$BOOTSTRAP_TOKEN" && save_credentials session "$token"; }; then
    say "cannot write to $state"
    return 1
  fi
  failures=0
  give_up_at=$(($(now) + start_seconds))
  while :; do
    printf '{"sessionToken":"%s","runnerVersion":"%s"}' "$token" "$version" >"$state/request"
    call Start bootstrap
    case $status in
      200) read_plan && return 0 ;;
      401 | 403) say "the orchestrator refused this guest ($status)" && return 1 ;;
    esac
    failures=$((failures + 1))
    [ "$failures" != 5 ] || say "no answer from $RUNNER_URL yet ($status)"
    [ "$(now)" -lt "$give_up_at" ] || { say "no answer from $RUNNER_URL ($status)" && return 1; }
    back_off
  done
}

# Reads the plan. After splitting the answer at its quotes, a field's value is two lines below its name.
read_plan() {
  tr '"' '\n' <"$state/answer" >"$state/words"
  sed -n '/^plan$/{n;n;p;q;}' "$state/words" | decode >"$state/plan"
  heartbeat_seconds=$(sed -n '/^heartbeatSeconds$/{n;s/[^0-9]//g;p;q;}' "$state/words")
  keep heartbeat "${heartbeat_seconds:-10}"
  rm -f "$state/words" "$state/answer"
  PLAN_COMPLETE=no
  # shellcheck source=/dev/null
  . "$state/plan"
  # Remove the plan, because it may contain secrets. The part before PLAN_OPEN_END is kept for shells of people.
  sed '/^PLAN_OPEN_END=/q' "$state/plan" >"$state/open-plan"
  rm -f "$state/plan"
  [ "$PLAN_COMPLETE" = yes ] || { say "the plan arrived incomplete" && return 1; }
}

run() {
  prepare || { say "cannot write to $state and $work" && return 1; }
  start || return 1
  say "started"
  give_up_at=$(($(now) + PLAN_DEADLINE_SECONDS))
  keep give-up-at "$give_up_at"
  # A signal to all runner processes must not prevent the sender from reporting.
  (
    trap '' TERM HUP INT
    send
    kill -0 $$ 2>/dev/null || power_off
  ) &
  sender=$!
  keep sender "$sender"
  execute
  # Without a stored result the sender waits for the end of this process, and reports the reason itself.
  keep_result "$result_code $result_failure" || exit 1
  wait "$sender"
  # The sender itself may have been killed.
  [ -e "$state/finished" ] || [ -e "$state/abandoned" ] || send
  # During the hold, keep the processes that a step left running: people may want to inspect them.
  [ ! -s "$state/hold" ] || hold
  # shellcheck disable=SC2086  # word splitting is intended
  [ -z "$leftovers" ] || kill -KILL $leftovers 2>/dev/null
  [ -e "$state/finished" ]
}

aftermath() {
  [ ! -e "$state/finished" ] && [ ! -e "$state/abandoned" ] && [ -s "$state/give-up-at" ] || return 0
  # The sender of the killed runner may still run: end it, so that nothing is reported twice.
  read -r sender <"$state/sender" && kill -KILL "$sender" 2>/dev/null
  trap '' TERM HUP INT
  give_up_at=$(($(now) + killed_seconds))
  send
}

power_off() {
  [ "$power_off_at_end" = yes ] || return 0
  if [ -d /run/systemd/system ]; then systemctl poweroff --force --force
  else poweroff -f || poweroff || halt -p
  fi 2>/dev/null
}

main() {
  if [ "$mode" = shell ]; then
    become_shell "$@"
    return
  fi
  # shellcheck source=/dev/null
  . "$conf" && find_tools || return 1
  find_signal_reset
  case $mode in
    run) run ;;
    aftermath) aftermath ;;
  esac
}

mode=${1:-run}
case $mode in
  run | aftermath) ;;
  shell) shift ;;
  *) echo "usage: $0 [run | aftermath | shell NUMBER TERM ROWS COLUMNS MODE]" >&2 && exit 2 ;;
esac
main "$@"
result=$?
[ "$mode" = shell ] || power_off
exit $result
