# Runs the steps of a job, one after the other, each with its output in the spool. Sourced by runner.sh.
# shellcheck shell=sh disable=SC2034,SC2154  # variables are shared with the files beside this one

# Runs the plan. Leaves "EXIT_CODE FAILURE" in $state/result.
execute() {
  build_environment
  code=0 failure='' index=0 leftovers=''
  killed_before=$(memory_kills)
  if [ -n "$PLAN_REPO_URL" ]; then
    run_step checkout /bin/sh "$here/checkout.sh"
    [ $code = 0 ] || failure=checkout
  fi
  run_cache restore
  number=1
  while [ $code = 0 ] && [ $number -le "$PLAN_STEP_COUNT" ]; do
    eval "name=\$PLAN_STEP_${number}_NAME script=\$PLAN_STEP_${number}_RUN"
    run_script
    number=$((number + 1))
  done
  collect_artifacts
  [ $code != 0 ] || failure=$artifact_failure
  [ -n "$failure" ] || run_cache save
  # A checkout that was stopped did not fail.
  [ ! -e "$state/stop" ] || failure=''
  printf '%s %s\n' $code "$failure" >"$state/result"
}

# run_cache restore|save: a step of its own where the job has caches. What goes wrong in it is not the job's failure.
run_cache() {
  [ "$PLAN_CACHE_COUNT" -gt 0 ] && [ "$code" = 0 ] || return 0
  run_step "$1 cache" /bin/sh "$here/cache.sh" "$1" "$work"
  [ -e "$state/stop" ] || code=0
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

# Runs $script as the step $name: with /bin/sh -e, or what its first line names. The kernel is not asked to find the
# interpreter, since the directory may be mounted without execution.
run_script() {
  file=$state/step-$number
  printf '%s\n' "$script" >"$file"
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

# run_step NAME COMMAND...: runs the step number $index and leaves its exit code in $code.
run_step() {
  if [ -e "$state/stop" ]; then code=143 && return; fi
  step_name=$1
  shift
  prepare_pipe
  tell_step started
  # In the foreground: shells make children in the background ignore SIGINT, for good.
  # What this shell itself says of a step that a signal ended is not the step's output.
  eval "in_step $environment"' "$@"' 2>/dev/null
  code=$?
  read -r step_pid <"$state/step" && kill -0 "-$step_pid" 2>/dev/null && leftovers="$leftovers -$step_pid"
  : >"$state/step"
  drain
  [ $code = 0 ] || note_killed_for_memory
  tell_step finished
  index=$((index + 1))
}

# in_step ASSIGNMENT... COMMAND...: becomes the step, in a session of its own and the checkout. `env` takes the
# assignments, so that no name can clash with a variable of this shell.
in_step() (
  exec </dev/null >"$pipe" 2>&1
  umask 022
  cd "$work/checkout" || exit 126
  unset JOURNAL_STREAM INVOCATION_ID SYSTEMD_EXEC_PID OLDPWD
  # This runner must outlive a job that runs out of memory; the job must not be spared.
  { echo 0 >/proc/self/oom_score_adj; } 2>/dev/null
  # shellcheck disable=SC2086,SC2016  # perhaps no word at all; the inner shell expands
  exec $own_session /bin/sh -c 'echo $$ >"$0"; exec env "$@"' "$state/step" "$@"
)

# Makes the step's own pipe, since a process left behind may hold on to the one it was given, and what empties it. Where
# the spool cannot grow, the output is thrown away: the step goes on, and the log says so.
prepare_pipe() {
  pipe=$state/pipe-$index
  mkfifo "$pipe"
  {
    cat >>"$spool" || { : >"$state/lost" && cat >/dev/null; }
    : >"$pipe-drained"
  } <"$pipe" 2>/dev/null &
}

# Waits until what the step wrote is in the spool. A process left behind keeps the pipe open: then only a moment.
drain() {
  polls=0
  while [ ! -e "$pipe-drained" ] && [ ! -e "$state/lost" ] && [ $polls -lt "$drain_polls" ]; do
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
  guest_time=$(now)
  printf '%s %s %s %s %s\n' "$1" "$index" "$code" $(($(wc -c <"$spool"))) "$guest_time" >>"$state/events"
}
