#!/bin/sh
# The method of svc:/application/solstice/orchestrator (smf_method(7)). Runs in any POSIX shell; /bin/sh of illumos is ksh93.
#
#   solstice-orchestrator.sh [-e FILE] [-d SECONDS] [-c COMMAND] [-r DIR] start
#   solstice-orchestrator.sh [-t SECONDS] [-r DIR] stop
#   solstice-orchestrator.sh [-r DIR] refresh|hand-over
#
# `start` stays as long as the orchestrator runs and ends with its exit code, so that SMF (model "child") starts it again;
# but a configuration that is wrong ends it with SMF_EXIT_ERR_CONFIG, and SMF puts the service into maintenance.
# `stop` signals the orchestrator alone. SMF's `:kill` would signal every process of the service's contract: the tools that
# the orchestrator has under way as well, and the orchestrator twice, which skips the draining.
# `refresh` has the orchestrator read its image map, API token and secrets again (SIGHUP). `hand-over` has it end and leave its guests
# running (SIGUSR2); SMF starts it again at once, and it adopts them: after an upgrade, instead of `svcadm restart`, which drains.
#
#   -e  the file with the environment; it may be absent            -d  pause before an orchestrator that failed is given back
#   -c  the solstice command                                       -t  how long `stop` waits until it kills
#   -r  where the process ids are noted
set -u

smf_exit_ok=0
smf_exit_err_fatal=95
smf_exit_err_config=96
# `solstice orchestrator`, when its configuration is wrong (docs/reference/cli.md).
solstice_exit_config=78

root=$(CDPATH='' cd -- "$(dirname "$0")/../.." && pwd -P) || exit $smf_exit_err_fatal
environment_file=
command=$root/bin/solstice
run_directory=/var/run
pause_seconds=5
stop_seconds=840

while getopts e:c:r:d:t: option; do
  case $option in
    e) environment_file=$OPTARG ;;
    c) command=$OPTARG ;;
    r) run_directory=$OPTARG ;;
    d) pause_seconds=$OPTARG ;;
    t) stop_seconds=$OPTARG ;;
    *) exit $smf_exit_err_fatal ;;
  esac
done
shift $((OPTIND - 1))
note=$run_directory/solstice-orchestrator.pids

say() { echo "solstice-orchestrator: $*" >&2; }

# Exports NAME=value of each line. `export` is the shell's own, so that no value is ever in a list of processes; and what is
# wrong with a line is told without the line.
read_environment() {
  [ -e "$1" ] || return 0
  if [ -n "$(find "$1" -prune \( -perm -040 -o -perm -004 \))" ]; then
    say "$1 can be read by others, and may hold secrets: chmod 600 $1"
  fi
  number=0
  while IFS= read -r line || [ -n "$line" ]; do
    number=$((number + 1))
    case $line in
      '' | '#'* | ';'*) continue ;;
      *=*) ;;
      *) say "$1:$number: not NAME=value" && return 1 ;;
    esac
    name=${line%%=*}
    value=${line#*=}
    case $name in
      '' | [!A-Z_]* | *[!A-Z0-9_]*) say "$1:$number: no valid variable name before the =" && return 1 ;;
    esac
    case $value in
      \"*\") value=${value#\"} && value=${value%\"} ;;
      \'*\') value=${value#\'} && value=${value%\'} ;;
    esac
    export "$name=$value"
  done <"$1"
}

is_alive() { kill -0 "$1" 2>/dev/null; }

# Waits for a child to its end, and sets `status` to its exit code. A signal that is trapped cuts a wait short; 127: there is
# no such child any more.
wait_for() {
  while :; do
    wait "$1"
    status=$?
    [ "$status" -ne 127 ] && is_alive "$1" || return 0
  done
}

start() {
  [ -z "$environment_file" ] || read_environment "$environment_file" || exit $smf_exit_err_config
  if [ ! -x "$command" ]; then
    say "there is no $command: install Solstice there, or change the service's exec"
    exit $smf_exit_err_config
  fi
  # smf_method(7): these are for the method, and not for what it leaves running.
  unset SMF_FMRI SMF_METHOD SMF_RESTARTER SMF_ZONENAME
  umask 022
  # shellcheck disable=SC3045 # not in POSIX, but in every shell that may run this
  ulimit -n 65536 2>/dev/null || say "the limit of open files stays at $(ulimit -n)"
  stopping=
  orchestrator=
  trap 'stopping=yes; [ -z "$orchestrator" ] || kill -TERM "$orchestrator" 2>/dev/null' TERM INT
  "$command" orchestrator </dev/null &
  orchestrator=$!
  # Asked to stop between the trap and here, the signal found nobody.
  [ -z "$stopping" ] || kill -TERM "$orchestrator"
  echo "$$ $orchestrator" >"$note"
  wait_for "$orchestrator"
  say "the orchestrator ended with $status"
  if [ "$status" -eq $solstice_exit_config ]; then
    status=$smf_exit_err_config
  elif [ "$status" -ne 0 ] && [ -z "$stopping" ]; then
    pause
  fi
  rm -f "$note"
  exit "$status"
}

# SMF starts it again at once: what failed for a reason outside shall not be tried without a break.
pause() {
  sleep "$pause_seconds" &
  orchestrator=$!
  code=$status
  wait_for "$orchestrator"
  status=$code
}

# Whether a process belongs to this service: its number may have been given to another since it was noted.
is_ours() {
  is_alive "$1" || return 1
  [ -n "${SMF_FMRI:-}" ] || return 0
  contract=$(svcprop -p restarter/contract "$SMF_FMRI" 2>/dev/null) || return 0
  [ "$(ps -o ctid= -p "$1" | tr -d ' ')" = "$contract" ]
}

stop() {
  [ -r "$note" ] || exit $smf_exit_ok
  read -r method orchestrator <"$note"
  is_ours "$method" || exit $smf_exit_ok
  kill -TERM "$method"
  waited=0
  while is_alive "$method"; do
    if [ "$waited" -ge "$stop_seconds" ]; then
      # Its guests are in zones of their own: the next start goes on with their jobs.
      say "the orchestrator did not end within $stop_seconds s, and is killed"
      kill -KILL "$orchestrator" "$method" 2>/dev/null
      break
    fi
    sleep 1
    waited=$((waited + 1))
  done
  exit $smf_exit_ok
}

# Sends a signal to the orchestrator, where it runs.
signal() {
  [ -r "$note" ] || exit $smf_exit_ok
  read -r method orchestrator <"$note"
  is_ours "$method" || exit $smf_exit_ok
  kill "-$1" "$orchestrator"
}

case ${1:-} in
  start) start ;;
  stop) stop ;;
  refresh) signal HUP ;;
  hand-over) signal USR2 ;;
  *)
    say "usage: $0 [-e FILE] [-t SECONDS] start|stop|refresh|hand-over"
    exit $smf_exit_err_fatal
    ;;
esac
