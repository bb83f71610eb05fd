# Sends the output and tells of the steps. Sourced by runner.sh.
# shellcheck shell=sh disable=SC2034,SC2154  # variables are shared with the files beside this one

# Sends everything, then tells the end. Returns 1 when the attempt is not ours any more.
send() {
  send_all && finish
}

# Sends the spool and the events until the job is over and everything has arrived.
send_all() {
  sent=0 size=0 final='' event='' failures=0 refusals=0 stuck=0 lost=false
  given_up='' twentieths=0 quiet_twentieths=0 flowing=0 chunk_blocks=$chunk_blocks_min stopped_pid=''
  read -r jitter <"$state/token"
  read -r heartbeat_seconds <"$state/heartbeat"
  # Half the time: ticks are counted, not measured, and each takes longer than it should.
  heartbeat_twentieths=$((heartbeat_seconds * 10 + 1))
  reported=0
  # A sender before this one may have told of some.
  read -r told_before <"$state/reported"
  mark looked
  exec 3<"$state/events"
  while :; do
    if is_abandoned; then end_job && return 1; fi
    [ ! -e "$state/stop" ] || stop_step
    # Asked before looking, so that nothing written before the end is overlooked.
    if [ -z "$final" ] && job_over; then
      measure
      final=$size
    fi
    next_event
    # A step is told of before its output is sent, so that whoever reads along knows whose output it is.
    limit=$size
    [ -z "$event" ] || [ "$event_offset" -ge "$size" ] || limit=$event_offset
    if [ "$sent" -lt "$limit" ] && [ "$lost" = false ]; then flowing=$flowing_looks && append_log
    elif [ -n "$event" ]; then report_step
    elif [ -n "$final" ]; then return 0
    else idle
    fi
  done
}

# The job is over when the main process says so, or is no more. Then something has killed it, and $failure says so.
job_over() {
  read_result && return
  if [ "$mode" = run ] && kill -0 $$ 2>/dev/null; then return 1; fi
  # It may have ended well between the two looks.
  read_result && return
  code=137
  why_killed
  give_up_at=$(($(now) + killed_seconds))
  kill_step
  [ -e "$state/killed" ] || note "$explanation: the job did not end by itself"
  mark killed
}

# Who shuts a guest down has its runner ended too. Only systemd tells the two apart.
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

# Reads the next event, when there is one. The spool is at least as long as its offset: that saves measuring.
next_event() {
  while [ -z "$event" ] && read -r event <&3; do
    reported=$((reported + 1))
    [ "$reported" -gt "$told_before" ] || event=''
  done
  [ -n "$event" ] || return 0
  read -r phase event_index event_code event_offset event_time <<END
$event
END
  [ "$event_offset" -le "$size" ] || size=$event_offset
}

# A moment without work, a short one while output flows. The spool is measured when it changed since the last look, which
# costs no fork, and once a second.
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
    mark looked
    measure
  fi
}

# Not "newer": times are told in milliseconds, and by busybox in seconds. What changed in the moment of the last look counts
# as changed since; a spool that rests is older soon.
# shellcheck disable=SC3013  # where -ot is unknown, the look once a second remains
spool_changed() { [ ! "$spool" -ot "$state/looked" ] 2>/dev/null; }

# Sends what is not there yet, or a sign of life. A chunk starts small and grows, so that a slow line gets it through.
append_log() {
  before=$sent
  quiet_twentieths=0
  if { write_append_request >"$exchange/request" || { make_room && write_append_request >"$exchange/request"; }; } 2>/dev/null &&
    call_runner AppendLog; then
    sent=$received
    [ "$chunk_blocks" -ge "$chunk_blocks_max" ] || chunk_blocks=$((chunk_blocks * 2))
    # An orchestrator that takes nothing is no reason to hurry. Nor is a spool that cannot be read, for whatever reason:
    # then the job ends without the rest.
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

# Whole blocks, so beginning with some bytes that were sent before: the other side knows what it has.
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

# The spool grows meanwhile: what comes after the limit may be the next step's, or, when the job is over, that of a
# process left behind, which is not sent at all.
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
    # What is refused for itself must not hold up the rest for ever.
    case $status in 4*) [ "$failures" -lt "$refusals_max" ] || event='' ;; esac
    after_failure
  fi
}

# Waits, or gives the attempt up when its time is over.
after_failure() {
  ! is_abandoned || return
  [ "$(now)" -lt "$give_up_at" ] || abandon "no orchestrator in time"
  # Where neither a request nor an answer fits, the spool's disk may have room for them.
  can_keep || exchange=$work
  back_off
}

# Tells the end. The orchestrator takes it only when it has the whole output.
finish() {
  log_sha256=$(hash_spool)
  count_lost
  # What is lost in the guest lets the other side take an end before it has the rest: so it is asked first.
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

# Where the guest is to be kept, for how many seconds: the answer to Finish says so.
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

# Asks how much the orchestrator has, and sends what it lacks.
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

# Tells the main process that the job is to end, and until when what always runs may.
request_stop() {
  [ -e "$state/stop" ] || keep stop $(($(now) + ${PLAN_CLEANUP_SECONDS:-0}))
}

# Not even what always runs is to run any more.
request_stop_now() {
  request_stop
  mark stop-now
}

# abandon REASON: ends the job without telling anybody, since nobody listens.
abandon() {
  say "giving up: $1"
  given_up=yes
  mark abandoned
  request_stop_now
}

# Also where no file could say so to the other processes.
is_abandoned() { [ -n "$given_up" ] || [ -e "$state/abandoned" ]; }

# Ends the running step, once, beside the sending of its last output. Called again and again.
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

# Ends the running step: TERM, and KILL when it is not gone after some seconds. A step that was stopped is woken to hear it.
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

# Waits until the main process has noticed that the job is to end, or is no more.
end_job() {
  until job_over; do
    kill_step
    sleep "$tick"
  done
}
