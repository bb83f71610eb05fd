# Keeps the guest of a failed job so that people can enter it (a hold). Sourced by runner.sh.
# shellcheck shell=sh disable=SC2034,SC2154  # variables are shared with the files beside this one

# Keeps the guest until the hold is over. One process polls for orders; this process runs the shells, one after the
# other, in its foreground, because shells make background children ignore Ctrl-C for good.
hold() {
  read -r hold_seconds <"$state/hold"
  say "the job has failed; this guest is kept for at most $hold_seconds s"
  mkfifo "$state/orders" || return 1
  (
    trap '' TERM HUP INT
    exec >"$state/orders"
    take_orders
  ) &
  # shellcheck disable=SC2086  # word splitting is intended
  while read -r order; do run_shell $order; done <"$state/orders"
  say "the hold is over"
}

# Polls until the hold is over, and prints each order for a new shell. The orchestrator answers when the order changes.
# While the orchestrator is down, the guest stays until its own deadline, because no process might return to end the
# hold.
take_orders() {
  hold_until=$(($(now) + hold_seconds + hold_margin))
  # The stop of a timed-out job ended its steps only.
  rm -f "$state/stop"
  failures=0 shell_order='' shell_number=''
  read -r jitter <"$state/token"
  while [ ! -e "$state/stop" ] && [ ! -e "$state/abandoned" ] && [ "$(now)" -lt "$hold_until" ]; do
    printf '{"shell":"%s"}' "$shell_order" >"$state/request"
    if call_runner Hold; then follow_order; else back_off; fi
    end_other_shell
  done
  shell_number=''
  end_other_shell
}

# Reads the order for a shell from the answer: NUMBER TERM ROWS COLUMNS MODE, or empty.
follow_order() {
  order=''
  case $answer in
    *'"shell"'*) order=${answer#*'"shell"'} && order=${order#*'"'} && order=${order%%'"'*} ;;
  esac
  if [ "$order" = "$shell_order" ]; then
    sleep "$tick"
    return
  fi
  shell_order=$order
  # shellcheck disable=SC2086  # word splitting is intended
  set -- $order
  if [ "${1:-}" = "$shell_number" ]; then
    [ -z "$shell_device" ] || stty rows "$3" cols "$4" <"$shell_device"
  else
    shell_number=${1:-}
    [ -z "$shell_number" ] || printf '%s\n' "$order"
  fi
}

# Ends a shell that the order no longer names, with its foreground process: the kernel hangs up the terminal of a
# session that has ended. Called repeatedly, because a shell may just be starting.
end_other_shell() {
  [ -n "$shell_device" ] || return 0
  read -r leader number 2>/dev/null <"$state/shell" || return 0
  [ "$number" != "$shell_number" ] || return 0
  kill -HUP "-$leader" 2>/dev/null && sleep "$tick" && kill -KILL "-$leader" 2>/dev/null
}

# run_shell NUMBER TERM ROWS COLUMNS MODE: runs a shell on the guest's line for shells, and writes its exit code there.
run_shell() {
  [ -n "$shell_device" ] || return 0
  SOLSTICE_CONF=$conf SOLSTICE_WORK=$work SOLSTICE_SHELL_DEVICE=$shell_device \
    $own_session /bin/sh "$here/runner.sh" shell "$@" </dev/null >/dev/null 2>&1
  shell_code=$?
  rm -f "$state/shell"
  # shellcheck disable=SC1003  # the sequence ends with a backslash
  printf '\033_solstice-shell %s ended %s\033\\' "$1" $shell_code >"$shell_device"
}

# become_shell NUMBER TERM ROWS COLUMNS MODE: opens the line as the first process of its session, which makes it the
# terminal.
become_shell() {
  printf '%s %s\n' $$ "$1" >"$state/shell"
  # shellcheck disable=SC2094  # the file is a terminal
  [ -z "$shell_device" ] || exec <"$shell_device" >"$shell_device" 2>&1
  shell_term=$2
  discard_input
  set_terminal "$3" "$4" "$5"
  { tty >"$state/shell-terminal"; } 2>/dev/null
  # shellcheck disable=SC1003  # the sequence ends with a backslash
  printf '\033_solstice-shell %s begun\033\\' "$1"
  # shellcheck source=/dev/null
  . "$state/open-plan" || return 1
  step_name=shell
  load_login
  eval "$login"
  choose_home
  build_environment
  { echo 0 >/proc/self/oom_score_adj; } 2>/dev/null
  umask 022
  cd "$work/checkout" || return 1
  unset_service_variables
  unset SOLSTICE_RUNNER
  program=/bin/sh options=''
  if [ "$5" = terminal ]; then
    greet
    options=-i
    if have bash; then program=bash; fi
  else
    # Read commands from a file, although the file is a terminal: this suppresses the prompt.
    options=$shell_device
  fi
  eval "exec env $environment"' TERM="$shell_term" "$program" $options'
}

# Discards what was typed for an earlier shell that did not read it, so that it does not run in this one. The kernel keeps
# at most 4096 bytes.
discard_input() {
  [ -t 0 ] || return 0
  stty -icanon min 0 time 0 && dd bs=4096 count=1 of=/dev/null
} 2>/dev/null

# Sets up the line as a terminal for a person, or as a line that does not change the commands and their output.
set_terminal() {
  [ -t 0 ] || return 0
  if [ "$3" = terminal ]; then stty sane rows "$1" cols "$2"
  else stty sane -echo -isig -icrnl -ixon -opost -iexten erase undef kill undef
  fi 2>/dev/null
}

greet() {
  printf '%s\n' "solstice: the guest of job $PLAN_JOB_ID, attempt $PLAN_ATTEMPT, in the state after its failed step." \
    "solstice: this is $work/checkout; the environment is that of the steps."
}
