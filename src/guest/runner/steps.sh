# Runs the steps of a job, one after the other, with their output in the spool. Sourced by runner.sh.
# shellcheck shell=sh disable=SC2034,SC2154  # variables are shared with the files beside this one

# Runs the steps of the plan in order until a step fails or the job must stop; from then on only steps with `always`.
# The first failure is the job's. Leaves $result_code and $result_failure.
execute() {
  build_environment
  [ -z "$PLAN_NOTES" ] || printf '%s\n' "$PLAN_NOTES" >>"$spool" || lose_output
  result_code=0 result_failure='' index=0 leftovers='' clean_until='' step_secrets=''
  killed_before=$(memory_kills)
  # Write all scripts before the job starts to fill the disk.
  if ! { write_scripts && make_pipes; }; then
    rm -f "$state"/step-[0-9]* "$state"/pipe-*
    result_code=1 result_failure=disk_full
    return
  fi
  read_login
  if [ -n "$PLAN_REPO_URL" ]; then
    # shellcheck disable=SC2016  # expanded by the eval
    step_secrets='export SOLSTICE_CHECKOUT_KIND="$PLAN_CHECKOUT_KIND" SOLSTICE_CHECKOUT_USER="$PLAN_CHECKOUT_USER"'
    # shellcheck disable=SC2016
    step_secrets=$step_secrets' SOLSTICE_CHECKOUT_SECRET="$PLAN_CHECKOUT_SECRET"'
    step_secrets="$step_secrets SOLSTICE_CHECKOUT_KEY='$state/key' SOLSTICE_CHECKOUT_CLOSED=\"\$PLAN_CHECKOUT_CLOSED\""
    step_kind='' step_seconds='' step_failure=checkout
    if may_run; then run_step checkout /bin/sh "$here/checkout.sh"; take_result; fi
    index=1
  fi
  unset PLAN_CHECKOUT_SECRET
  rm -f "$state/key"
  step_secrets=''
  run_cache restore
  build_secrets
  number=1
  while [ $number -le "$PLAN_STEP_COUNT" ]; do
    eval "name=\$PLAN_STEP_${number}_NAME script=\$PLAN_STEP_${number}_RUN step_kind=\$PLAN_STEP_${number}_KIND"
    eval "step_seconds=\$PLAN_STEP_${number}_SECONDS" && step_failure=''
    if may_run; then run_script; take_result; fi
    number=$((number + 1)) index=$((index + 1))
  done
  code=$result_code
  step_secrets=''
  collect_artifacts
  [ "$result_code" != 0 ] || [ -e "$state/stop" ] || result_failure=$artifact_failure
  [ -n "$result_failure" ] || run_cache save
}

# True when the next step must run. Limits $step_seconds to the remaining time for cleaning up.
may_run() {
  is_cut=''
  if [ -e "$state/stop" ]; then
    [ "$result_code" != 0 ] || result_code=143
    [ ! -e "$state/stop-now" ] || return 1
  fi
  [ "$result_code" != 0 ] || return 0
  [ "$step_kind" = always ] || return 1
  begin_cleanup
  seconds_left=$((clean_until - $(now)))
  [ "$seconds_left" -gt 0 ] || return 1
  if [ -z "$step_seconds" ] || [ "$step_seconds" -gt "$seconds_left" ]; then
    step_seconds=$seconds_left is_cut=yes
  fi
}

# Starts the time for cleaning up, at the first failure or when the job must stop.
begin_cleanup() {
  [ -z "$clean_until" ] || return 0
  read -r clean_until <"$state/stop" || clean_until=$(($(now) + PLAN_CLEANUP_SECONDS))
} 2>/dev/null

# Stores the first failure. A step that was stopped did not fail by itself.
take_result() {
  [ "$code" != 0 ] && [ "$result_code" = 0 ] || return 0
  result_code=$code
  [ -e "$state/stop" ] || result_failure=$step_failure
  begin_cleanup
}

# run_cache restore|save: runs a separate step when the job has caches. Its problems do not fail the job.
run_cache() {
  [ "$PLAN_CACHE_COUNT" -gt 0 ] || return 0
  keep cache-plan "$PLAN_CACHE_PLAN" || { note "no cache: the guest's disk is full" && return; }
  step_kind='' step_seconds='' step_failure=''
  if [ "$result_code" = 0 ] && may_run; then run_step "$1 cache" /bin/sh "$here/cache.sh" "$1" "$work"; fi
  index=$((index + 1))
}

# Leaves in $environment, as words for `eval`, the assignments for every step. The runner's own come last, so that a
# job cannot override its identity.
# shellcheck disable=SC2016  # expanded by the eval
build_environment() {
  environment='CI=true TERM=dumb HOME="$HOME"'
  number=1
  while [ $number -le "$PLAN_ENV_COUNT" ]; do
    environment="$environment \"\$PLAN_ENV_$number\""
    number=$((number + 1))
  done
  environment="$environment"' SOLSTICE=true SOLSTICE_JOB_ID="$PLAN_JOB_ID" SOLSTICE_ATTEMPT="$PLAN_ATTEMPT"'
  environment="$environment"' SOLSTICE_COMMIT="$PLAN_COMMIT" SOLSTICE_REF="$PLAN_REF"'
  environment="$environment"' SOLSTICE_REPO_URL="$PLAN_REPO_URL" SOLSTICE_STEP="$step_name"'
}

# Leaves in $step_secrets, as commands for `eval`, the exports of the job's secrets.
build_secrets() {
  step_secrets=''
  number=1
  while [ $number -le "$PLAN_SECRET_COUNT" ]; do
    eval "secret_name=\$PLAN_SECRET_${number}_NAME"
    step_secrets="$step_secrets export $secret_name=\"\$PLAN_SECRET_$number\";"
    number=$((number + 1))
  done
}

write_scripts() {
  number=1
  while [ $number -le "$PLAN_STEP_COUNT" ]; do
    eval "keep step-$number \"\$PLAN_STEP_${number}_RUN\"" || return 1
    number=$((number + 1))
  done
}

# Creates a pipe for each step, including the checkout and the caches.
make_pipes() {
  index=$((PLAN_STEP_COUNT + 2))
  set --
  while [ $index -ge 0 ]; do
    set -- "$@" "$state/pipe-$index"
    index=$((index - 1))
  done
  index=0
  mkfifo "$@"
}

# Runs $script as the step $name: with /bin/sh -e, or the interpreter of its first line. The kernel does not start the
# interpreter, because the directory may be mounted with noexec.
run_script() {
  file=$state/step-$number
  case $script in
    '#!'*)
      read -r line <"$file"
      # Same rule as the kernel: one interpreter, and the rest of the line as one argument.
      read -r interpreter argument <<END
${line#??}
END
      run_step "$name" "$interpreter" ${argument:+"$argument"} "$file"
      ;;
    *) run_step "$name" /bin/sh -e "$file" ;;
  esac
}

# run_step NAME COMMAND...: runs the step number $index, for at most $step_seconds if set, and leaves its exit code in
# $code: 124 after a timeout, as in timeout(1), with the reason in $step_failure.
run_step() {
  step_name=$1
  shift
  prepare_pipe
  code=0
  record_step started
  start_watchdog
  # In the foreground, because shells make background children ignore SIGINT for good. The shell's own message about a
  # step that a signal ended is not the step's output.
  eval "in_step $environment"' "$@"' 2>/dev/null
  code=$?
  stop_watchdog
  kind=$step_kind
  read_step && kill -0 "-$step_pid" 2>/dev/null && leftovers="$leftovers -$step_pid"
  step_kind=$kind
  clear_step
  drain
  [ $code = 0 ] || note_killed_for_memory
  if [ -e "$state/overdue" ] || [ -e "$state/cleanup-over" ]; then note_overdue; fi
  record_step finished
}

# Ends the step after its time limit, also while the sender waits for a call.
start_watchdog() {
  watchdog=''
  [ -n "$step_seconds" ] || return 0
  watch_step &
  watchdog=$!
}

# A signal may arrive before the sleeper's process id is known.
watch_step() {
  sleeper='' relieved=''
  # KILL, because TERM would be lost in the moment in which the new process is still a copy of this shell, with its trap.
  trap 'relieved=yes; [ -z "$sleeper" ] || kill -KILL "$sleeper" 2>/dev/null' TERM
  sleep "$step_seconds" &
  sleeper=$!
  [ -z "$relieved" ] || kill -KILL "$sleeper"
  wait "$sleeper"
  [ -z "$relieved" ] && kill -0 $$ 2>/dev/null || exit 0
  trap '' TERM
  mark overdue
  polls=0
  until read_step || [ $polls -ge "$start_polls" ]; do
    sleep "$tick"
    polls=$((polls + 1))
  done
  kill_step
  exit 0
} 2>/dev/null

# A watchdog whose step is overdue continues: it may still have to end children of the step.
stop_watchdog() {
  [ -n "$watchdog" ] && [ ! -e "$state/overdue" ] || return 0
  kill "$watchdog"
  wait "$watchdog"
} 2>/dev/null

note_overdue() {
  code=124 step_failure=step_timeout
  why="it ran longer than its limit of $step_seconds s"
  [ -z "$is_cut" ] && [ -e "$state/overdue" ] || why="the $PLAN_CLEANUP_SECONDS s for cleaning up were over"
  rm -f "$state/overdue" "$state/cleanup-over"
  note "step '$step_name' was ended: $why"
}

# in_step ASSIGNMENT... COMMAND...: becomes the step, in its own session and in the checkout. `env` takes the
# assignments, so that names cannot clash with variables of this shell. Secrets are exported here instead, because
# every user of the guest can read an argument list. A secret may have the name of a runner's variable, so only "$@" is
# used after that.
in_step() (
  exec </dev/null >"$pipe" 2>&1
  umask 022
  cd "$work/checkout" || exit 126
  unset_service_variables
  # The runner must survive when the job runs out of memory, so the job gets the normal score of the out-of-memory
  # killer.
  { echo 0 >/proc/self/oom_score_adj; } 2>/dev/null
  # shellcheck disable=SC2086,SC2016  # variables may be empty; the inner shell expands
  set -- $with_signals $own_session /bin/sh -c 'echo $$ "$1" 1<>"$0"; shift; exec env "$@"' "$state/step" "$step_kind" "$@"
  # One eval for both, because a profile may export names of the runner's own variables.
  eval "$login
$step_secrets"
  exec "$@"
)

# Starts the reader of the step's pipe; each step has its own pipe, because a leftover process may keep an older one
# open. When the spool cannot grow, the output is only counted: the step continues, and the log reports the loss.
prepare_pipe() {
  pipe=$state/pipe-$index
  {
    cat >>"$spool" || {
      lose_output
      mark lost
      keep_also lost-bytes "$(wc -c)"
    }
    mark "pipe-$index-drained"
  } <"$pipe" 2>/dev/null &
}

# Waits until the step's output is in the spool. A leftover process keeps the pipe open: then waits only for a moment.
drain() {
  polls=0
  while [ ! -e "$pipe-drained" ] && [ $polls -lt "$drain_polls" ]; do
    sleep 0.05 2>/dev/null || { sleep 1 && polls=$drain_polls; }
    polls=$((polls + 1))
  done
  [ ! -e "$state/lost" ] || note_lost
}

# Reports output that was lost on a full disk. The reserve makes room for the message.
note_lost() {
  rm -f "$work/reserve" "$state/lost"
  note "the guest's disk is full: output of step '$step_name' is missing from here on"
}

# Prints the number of processes that the kernel has killed because memory ran out; empty when the kernel does not
# count them.
memory_kills() { sed -n 's/^oom_kill //p' "$vmstat" 2>/dev/null; }

# Explains a killed process, because a shell prints only "Killed".
note_killed_for_memory() {
  killed=$(memory_kills)
  [ "$killed" != "$killed_before" ] || return 0
  killed_before=$killed
  note "this guest ran out of memory, and its kernel killed a process to go on: step '$step_name' may need a larger size"
}

# record_step started|finished: records an event for the sender, with the present length of the output.
record_step() {
  guest_time=$(wall_clock)
  keep_also events "$1 $index $code $(($(wc -c <"$spool"))) $guest_time"
}
