# Runs the steps of a job, one after the other, each with its output in the spool. Sourced by runner.sh.
# shellcheck shell=sh disable=SC2034,SC2154  # variables are shared with the files beside this one

# Runs the plan: its steps in order until one fails, or is not to go on; from then on only those that always run. The
# first failure is the job's. Leaves $result_code and $result_failure.
execute() {
  build_environment
  [ -z "$PLAN_NOTES" ] || printf '%s\n' "$PLAN_NOTES" >>"$spool" || lose_output
  result_code=0 result_failure='' index=0 leftovers='' clean_until='' step_secrets=''
  killed_before=$(memory_kills)
  # All of them before the job begins to fill the disk.
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

# Whether the next step is to run. The time that is left for cleaning up may be less than its own.
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

# The time for cleaning up begins with the first failure, or when the job is told to stop.
begin_cleanup() {
  [ -z "$clean_until" ] || return 0
  read -r clean_until <"$state/stop" || clean_until=$(($(now) + PLAN_CLEANUP_SECONDS))
} 2>/dev/null

# The first failure decides. A step that was told to stop did not fail of itself.
take_result() {
  [ "$code" != 0 ] && [ "$result_code" = 0 ] || return 0
  result_code=$code
  [ -e "$state/stop" ] || result_failure=$step_failure
  begin_cleanup
}

# run_cache restore|save: a step of its own where the job has caches. What goes wrong in it is not the job's failure.
run_cache() {
  [ "$PLAN_CACHE_COUNT" -gt 0 ] || return 0
  keep cache-plan "$PLAN_CACHE_PLAN" || { note "no cache: the guest's disk is full" && return; }
  step_kind='' step_seconds='' step_failure=''
  if [ "$result_code" = 0 ] && may_run; then run_step "$1 cache" /bin/sh "$here/cache.sh" "$1" "$work"; fi
  index=$((index + 1))
}

# Leaves in $environment, as words for `eval`, the assignments that every step gets. Ours come last: a job cannot pretend
# to be another one.
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

# Leaves in $step_secrets, as commands for `eval`, what exports the job's secrets.
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

# A pipe for each step, the checkout and the caches among them.
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

# Runs $script as the step $name: with /bin/sh -e, or what its first line names. The kernel is not asked to find the
# interpreter, since the directory may be mounted without execution.
run_script() {
  file=$state/step-$number
  case $script in
    '#!'*)
      read -r line <"$file"
      # Like the kernel: one interpreter, and the rest of the line as one argument.
      read -r interpreter argument <<END
${line#??}
END
      run_step "$name" "$interpreter" ${argument:+"$argument"} "$file"
      ;;
    *) run_step "$name" /bin/sh -e "$file" ;;
  esac
}

# run_step NAME COMMAND...: runs the step number $index, for $step_seconds at most where that is not empty, and leaves its
# exit code in $code: 124 when its time was over, as timeout(1) has it. Then $step_failure says so.
run_step() {
  step_name=$1
  shift
  prepare_pipe
  code=0
  tell_step started
  start_watchdog
  # In the foreground: shells make children in the background ignore SIGINT, for good.
  # What this shell itself says of a step that a signal ended is not the step's output.
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
  tell_step finished
}

# Ends the step when its time is over, whatever the sender waits for.
start_watchdog() {
  watchdog=''
  [ -n "$step_seconds" ] || return 0
  watch_step &
  watchdog=$!
}

# A signal may come before its sleeper is known.
watch_step() {
  sleeper='' relieved=''
  trap 'relieved=yes; [ -z "$sleeper" ] || kill "$sleeper" 2>/dev/null' TERM
  sleep "$step_seconds" &
  sleeper=$!
  [ -z "$relieved" ] || kill "$sleeper"
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

# One whose step is overdue goes on: it may have children of the step to end yet.
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

# in_step ASSIGNMENT... COMMAND...: becomes the step, in a session of its own and the checkout. `env` takes the
# assignments, so that no name can clash with a variable of this shell. Secrets are exported here instead: every user of
# the guest can read an argument list. One may be called like a variable of ours, so nothing is used after but "$@".
in_step() (
  exec </dev/null >"$pipe" 2>&1
  umask 022
  cd "$work/checkout" || exit 126
  unset_service_variables
  # This runner must outlive a job that runs out of memory; the job must not be spared.
  { echo 0 >/proc/self/oom_score_adj; } 2>/dev/null
  # shellcheck disable=SC2086,SC2016  # perhaps no word at all; the inner shell expands
  set -- $with_signals $own_session /bin/sh -c 'echo $$ "$1" 1<>"$0"; shift; exec env "$@"' "$state/step" "$step_kind" "$@"
  # One text, since a profile may export what we call our own.
  eval "$login
$step_secrets"
  exec "$@"
)

# Makes the step's own pipe, since a process left behind may hold on to the one it was given, and what empties it. Where
# the spool cannot grow, the output is counted only: the step goes on, and the log says so.
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

# Waits until what the step wrote is in the spool. A process left behind keeps the pipe open: then only a moment.
drain() {
  polls=0
  while [ ! -e "$pipe-drained" ] && [ $polls -lt "$drain_polls" ]; do
    sleep 0.05 2>/dev/null || { sleep 1 && polls=$drain_polls; }
    polls=$((polls + 1))
  done
  [ ! -e "$state/lost" ] || note_lost
}

# Output that a full disk swallowed must not be missing in silence. The reserve makes room for the sentence.
note_lost() {
  rm -f "$work/reserve" "$state/lost"
  note "the guest's disk is full: output of step '$step_name' is missing from here on"
}

# How many processes the kernel has killed for want of memory; empty where it does not count them.
memory_kills() { sed -n 's/^oom_kill //p' "$vmstat" 2>/dev/null; }

# A shell says no more than "Killed" of it.
note_killed_for_memory() {
  killed=$(memory_kills)
  [ "$killed" != "$killed_before" ] || return 0
  killed_before=$killed
  note "this guest ran out of memory, and its kernel killed a process to go on: step '$step_name' may need a larger size"
}

# tell_step started|finished: leaves a line for the sender, with the length of the output at this moment.
tell_step() {
  guest_time=$(wall_clock)
  keep_also events "$1 $index $code $(($(wc -c <"$spool"))) $guest_time"
}
