#!/bin/sh
# Runs one job inside its guest and reports to the orchestrator (proto/solstice/v1/runner.proto, as Connect JSON).
# Usage: runner.sh [run | aftermath | shell NUMBER TERM ROWS COLUMNS MODE]
#   run        (the default) asks for the plan, runs its steps, tells the end
#   aftermath  reports what a `run` that was killed could not; does nothing after one that ended well
#   shell      becomes a shell in the checkout, for somebody who enters the guest of a failed job
#
# Three processes. The main one runs the steps, one after the other, in its foreground. Each step writes into a pipe,
# which `cat` appends to the spool: were the spool itself the step's stdout, `echo oops >/dev/stderr` would truncate it.
# The sender, in the background, sends the spool by byte offset and tells of steps; it alone talks to the orchestrator.
#
# Plain POSIX sh, and curl or wget: this runs in any guest, from busybox to illumos. Forks are dear in an emulated guest
# (10 ms each), so built-ins are preferred, and an idle sender does little but sleep.
#
# Environment: SOLSTICE_CONF (the file with RUNNER_URL and BOOTSTRAP_TOKEN), SOLSTICE_WORK (where to work),
# SOLSTICE_VMSTAT (for tests: what to read instead of /proc/vmstat), SOLSTICE_SHELL_DEVICE (the line for shells; without it
# whoever enters starts `runner.sh shell` himself),
# SOLSTICE_LOGIN=yes (steps get the environment of a login shell; set by boot.sh),
# SOLSTICE_POWEROFF=yes (power off at the end: set by boot.sh only, so that nobody's own machine goes down).
# shellcheck disable=SC2034,SC2154  # variables are shared with the files beside this one

version=1
here=${0%/*}
conf=${SOLSTICE_CONF:-/run/solstice/runner.conf}
work=${SOLSTICE_WORK:-/var/lib/solstice/job}
power_off_at_end=${SOLSTICE_POWEROFF:-no}
# The state lies beside the configuration, on a memory file system in most guests: a job that fills the disk leaves the
# runner able to report it. The spool is too big for that.
state=${conf%/*}/state
spool=$work/output
exchange=$state body=''
vmstat=${SOLSTICE_VMSTAT:-/proc/vmstat}
shell_device=${SOLSTICE_SHELL_DEVICE:-}
logs_in=${SOLSTICE_LOGIN:-no}
# What the environment exports under a name we assign would reach the steps.
unset SOLSTICE_CONF SOLSTICE_WORK SOLSTICE_VMSTAT SOLSTICE_POWEROFF SOLSTICE_SHELL_DEVICE SOLSTICE_LOGIN RUNNER_URL BOOTSTRAP_TOKEN
unset token authorization

# Limits; seconds unless named otherwise.
call_seconds=30
start_seconds=900
term_grace=5
killed_seconds=60
hold_margin=60 # the host's clock decides; this is for a host that is gone
block_bytes=4096
chunk_blocks_max=256 # 1 MiB, the most the orchestrator takes at a time
chunk_blocks_min=16 # 64 KiB, which a line of 3 KB/s gets through in time
drain_polls=20
start_polls=300
refusals_max=20
stuck_max=4
flowing_looks=40 # two seconds of short pauses after output

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
  # Room for one last sentence when the disk is full.
  dd if=/dev/zero of="$work/reserve" bs="$block_bytes" count=4 2>/dev/null
  choose_home
}

choose_home() {
  [ -z "$HOME" ] || [ "$HOME" = / ] || return 0
  HOME=/root
  [ -w /root ] || HOME=$work/checkout
}

# Calls Start until it answers; name service and network may come later than we do. Then takes the plan.
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

# Split at its quotes, the answer has the value of a field two lines below its name.
read_plan() {
  tr '"' '\n' <"$state/answer" >"$state/words"
  sed -n '/^plan$/{n;n;p;q;}' "$state/words" | decode >"$state/plan"
  heartbeat_seconds=$(sed -n '/^heartbeatSeconds$/{n;s/[^0-9]//g;p;q;}' "$state/words")
  keep heartbeat "${heartbeat_seconds:-10}"
  rm -f "$state/words" "$state/answer"
  PLAN_COMPLETE=no
  # shellcheck source=/dev/null
  . "$state/plan"
  # It may hold secrets, which the guest's files are no place for. What a shell of a person needs comes before them.
  sed '/^PLAN_OPEN_END=/q' "$state/plan" >"$state/open-plan"
  rm -f "$state/plan"
  [ "$PLAN_COMPLETE" = yes ] || { say "the plan arrived damaged" && return 1; }
}

run() {
  prepare || { say "cannot write to $state and $work" && return 1; }
  start || return 1
  say "started"
  give_up_at=$(($(now) + PLAN_DEADLINE_SECONDS))
  keep give-up-at "$give_up_at"
  # A signal that means the whole runner must not keep the sender from telling so.
  (
    trap '' TERM HUP INT
    send
    kill -0 $$ 2>/dev/null || power_off
  ) &
  sender=$!
  keep sender "$sender"
  execute
  # Without it the sender waits for our end, and says why itself.
  keep_result "$result_code $result_failure" || exit 1
  wait "$sender"
  # The sender itself may have been killed.
  [ -e "$state/finished" ] || [ -e "$state/abandoned" ] || send
  # What a step left running may be what somebody wants to look at.
  [ ! -s "$state/hold" ] || hold
  # shellcheck disable=SC2086  # a list is meant
  [ -z "$leftovers" ] || kill -KILL $leftovers 2>/dev/null
  [ -e "$state/finished" ]
}

aftermath() {
  [ ! -e "$state/finished" ] && [ ! -e "$state/abandoned" ] && [ -s "$state/give-up-at" ] || return 0
  # Its sender may live on, and two would say the same twice.
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
