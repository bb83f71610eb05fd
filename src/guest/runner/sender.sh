# Sends the output and the reports of the steps. Sourced by runner.sh.
# shellcheck shell=sh disable=SC2034,SC2154  # variables are shared with the files beside this one

# Sends everything, then reports the end. Returns 1 when the orchestrator no longer accepts the attempt.
send() {
  send_all && finish
}

# Sends the spool and the events until the job is over and everything has arrived.
send_all() {
  sent=0 size=0 final='' event='' failures=0 refusals=0 stuck=0 lost=false
  given_up='' twentieths=0 quiet_twentieths=0 flowing=0 chunk_blocks=$chunk_blocks_min stopped_pid=''
  read -r jitter <"$state/token"
  read -r heartbeat_seconds <"$state/heartbeat"
  # Half of the time: ticks are counted, not measured, and each takes longer than its nominal time.
  heartbeat_twentieths=$((heartbeat_seconds * 10 + 1))
  reported=0
  # A previous sender may have sent some of the reports.
  read -r reported_before <"$state/reported"
  mark measured
  exec 3<"$state/events"
  while :; do
    if is_abandoned; then end_job && return 1; fi
    [ ! -e "$state/stop" ] || stop_step
    # Test for the end of the job before measuring the spool, so that no output before the end is missed.
    if [ -z "$final" ] && job_over; then
      measure
      final=$size
    fi
    next_event
    # A step is reported before its output is sent, so that readers can assign the output to the step.
    limit=$size
    [ -z "$event" ] || [ "$event_offset" -ge "$size" ] || limit=$event_offset
    if [ "$sent" -lt "$limit" ] && [ "$lost" = false ]; then flowing=$flowing_polls && append_log
    elif [ -n "$event" ]; then report_step
    elif [ -n "$final" ]; then return 0
    else idle
    fi
  done
}

# True when the main process has stored its result, or has ended without one. In that case it was killed, and $failure
# has the reason.
job_over() {
  read_result && return
  if [ "$mode" = run ] && kill -0 $$ 2>/dev/null; then return 1; fi
  # The main process may have ended normally between the two tests.
  read_result && return
  code=137
  why_killed
  give_up_at=$(($(now) + killed_seconds))
  kill_step
  [ -e "$state/killed" ] || note "$explanation: the job did not end normally"
  mark killed
}

# Distinguishes a shutdown of the guest, which ends the runner too, from a killed runner. Only systemd reports the
# difference.
why_killed() {
  failure=runner_killed
  explanation='something in this guest killed the runner'
  if ! can_keep; then
    failure=disk_full
    explanation="the disk of the runner's state is full"
    return
  fi
  [ -d /run/systemd/system ] && [ "$(systemctl is-system-running 2>/dev/null)" = stopping ] || return 0
  failure=guest_shutdown
  explanation='this guest is being shut down or restarted'
}

measure() { size=$(($(wc -c <"$spool"))); }

# Reads the next event, if any. The spool is at least as long as the event's offset: that saves measuring.
next_event() {
  while [ -z "$event" ] && read -r event <&3; do
    reported=$((reported + 1))
    [ "$reported" -gt "$reported_before" ] || event=''
  done
  [ -n "$event" ] || return 0
  read -r phase event_index event_code event_offset event_time <<END
$event
END
  [ "$event_offset" -le "$size" ] || size=$event_offset
}

# Waits for a moment, or for a shorter one while output flows. The spool is measured when it changed since the last
# measurement, a test without a fork, and once a second.
idle() {
  if [ "$flowing" -gt 0 ]; then
    sleep "$flow_tick"
    flowing=$((flowing - 1)) passed=$flow_twentieths
  else
    sleep "$tick"
    passed=$tick_twentieths
  fi
  twentieths=$((twentieths + passed)) quiet_twentieths=$((quiet_twentieths + passed))
  if [ "$quiet_twentieths" -ge "$heartbeat_twentieths" ]; then
    append_log
  elif [ "$twentieths" -ge 20 ] || spool_changed; then
    twentieths=0
    mark measured
    measure
  fi
}

# The test is "not older" instead of "newer", because the resolution of times is milliseconds, and seconds in busybox.
# A change in the same moment as the last measurement then counts as new; an idle spool is older soon.
# shellcheck disable=SC3013  # without -ot, the spool is still measured once a second
spool_changed() { [ ! "$spool" -ot "$state/measured" ] 2>/dev/null; }

# Sends unsent output, or an empty chunk as heartbeat. The chunk size starts small and grows, for slow lines.
append_log() {
  before=$sent
  quiet_twentieths=0
  if { write_append_request >"$exchange/request" || { make_room && write_append_request >"$exchange/request"; }; } 2>/dev/null &&
    call_runner AppendLog; then
    sent=$received
    [ "$chunk_blocks" -ge "$chunk_blocks_max" ] || chunk_blocks=$((chunk_blocks * 2))
    # Back off when the orchestrator accepts no bytes, or the spool cannot be read: after some attempts the job ends
    # without the rest.
    if [ "$before" -ge "$limit" ] || [ "$sent" -gt "$before" ]; then stuck=0
    else
      stuck=$((stuck + 1)) failures=1
      [ "$stuck" -lt "$stuck_max" ] || lost=true
      back_off
    fi
  else
    chunk_blocks=$chunk_blocks_min
    after_failure
  fi
}

# Writes a request of whole blocks; the first bytes may have been sent before, and the orchestrator skips them by the
# offset.
write_append_request() {
  first=$((sent / block_bytes))
  printf '{"offset":"%s"' $((first * block_bytes))
  if [ "$sent" -lt "$limit" ]; then
    printf ',"data":"'
    read_blocks | encode
    printf '"'
  fi
  printf '}'
}

# Reads the blocks up to the limit only, because the spool grows meanwhile: output after the limit belongs to the next
# step, or after the job's end to a leftover process, whose output is not sent.
read_blocks() {
  dd if="$spool" bs="$block_bytes" skip="$first" count="$chunk_blocks" 2>/dev/null |
    head -c $((limit - first * block_bytes))
}

report_step() {
  phase_number=2
  [ "$phase" = finished ] || phase_number=1 event_code=0
  printf '{"index":%s,"phase":%s,"exitCode":%s,"logOffset":"%s","guestTimeMs":"%s000"}' "$event_index" $phase_number \
    "$event_code" "$event_offset" "$event_time" >"$exchange/request"
  quiet_twentieths=0
  if call_runner ReportStep; then
    event=''
    keep reported "$reported"
  else
    # A refused event must not block later ones for ever.
    case $status in 4*) [ "$failures" -lt "$refusals_max" ] || event='' ;; esac
    after_failure
  fi
}

# Waits, or abandons the attempt after its deadline.
after_failure() {
  ! is_abandoned || return
  [ "$(now)" -lt "$give_up_at" ] || abandon "no orchestrator in time"
  # When neither a request nor an answer fits on the state's disk, the spool's disk may have room.
  can_keep || exchange=$work
  back_off
}

# Reports the end. The orchestrator accepts it only after the whole output.
finish() {
  log_sha256=$(hash_spool)
  count_lost
  # With lost output, the orchestrator accepts an end before the rest of the output: so send the missing part first.
  [ "$lost_bytes" = 0 ] || { lost=false && send_missing && lost=true; }
  until tell_end; do
    ! is_abandoned || return 1
    case $status in
      4*)
        refusals=$((refusals + 1))
        [ $refusals -lt "$refusals_max" ] || abandon "the orchestrator refuses the end of the job ($status)"
        send_missing
        ;;
    esac
    after_failure
  done
  keep_hold
  mark finished
}

# Reads the hold from the answer to Finish: the number of seconds that the guest must be kept.
keep_hold() {
  case $answer in
    *'"holdSeconds"'*)
      held=${answer#*'"holdSeconds"'}
      held=${held#"${held%%[0-9]*}"}
      keep hold "${held%%[!0-9]*}"
      ;;
  esac
}

tell_end() {
  detail=''
  [ ! -s "$state/detail" ] || detail=$(cat "$state/detail")
  printf '{"exitCode":%s,"logLength":"%s","logSha256":"%s","failure":"%s","failureDetail":"%s","logLost":%s}' \
    "$code" $((final + lost_bytes)) "$log_sha256" "$failure" "$detail" "$lost" >"$exchange/request"
  call_runner Finish
}

# Queries how much the orchestrator has, and sends the rest.
send_missing() {
  sent=$final
  append_log
  while [ "$sent" -lt "$final" ] && [ "$lost" = false ] && ! is_abandoned; do append_log; done
}

hash_spool() {
  if [ "$final" = 0 ]; then hash_stdin </dev/null
  else head -c "$final" "$spool" | hash_stdin
  fi
}

# Records for the main process that the job must end, and the deadline for steps with `always`.
request_stop() {
  [ -e "$state/stop" ] || keep stop $(($(now) + ${PLAN_CLEANUP_SECONDS:-0}))
}

# Ends also the steps with `always`.
request_stop_now() {
  request_stop
  mark stop-now
}

# abandon REASON: ends the job without a report, because no orchestrator accepts it.
abandon() {
  say "giving up: $1"
  given_up=yes
  mark abandoned
  request_stop_now
}

# True also when the disk had no room for the file that informs the other processes.
is_abandoned() { [ -n "$given_up" ] || [ -e "$state/abandoned" ]; }

# Ends the running step, once, while its last output is still being sent. Called repeatedly.
stop_step() {
  read_step || return 0
  [ "$step_pid" != "$stopped_pid" ] || return 0
  if [ "$step_kind" = always ] && [ ! -e "$state/stop-now" ]; then
    read -r clean_until <"$state/stop" && [ "$(now)" -ge "$clean_until" ] || return 0
    mark cleanup-over
  fi
  stopped_pid=$step_pid
  kill_step &
}

signal_step() { kill "-$1" "-$step_pid" 2>/dev/null || kill "-$1" "$step_pid" 2>/dev/null; }

# Ends the running step: TERM, and KILL if it still runs after some seconds. CONT wakes a stopped step so that it
# receives TERM.
kill_step() {
  read_step || return 0
  signal_step TERM
  signal_step CONT
  polls=0
  while [ $polls -lt $((term_grace * ticks_per_second)) ] && signal_step 0; do
    sleep "$tick"
    polls=$((polls + 1))
  done
  signal_step KILL
}

# Waits until the main process has ended the job or has been killed.
end_job() {
  until job_over; do
    kill_step
    sleep "$tick"
  done
}
