# Calls the orchestrator (proto/solstice/v1/runner.proto, as Connect JSON). Sourced by runner.sh.
# shellcheck shell=sh disable=SC2034,SC2154  # variables are shared with the files beside this one

# save_credentials NAME TOKEN: writes the headers of a call to a file for the client, so that no token is in an
# argument list. The small wget has no such option: its token shows in the list of processes, inside the guest.
save_credentials() {
  json='Content-Type: application/json'
  case $client in
    curl) printf '%s\n' silent 'noproxy = "*"' "max-time = $call_seconds" 'connect-timeout = 10' "header = \"$json\"" \
      'header = "Expect:"' "header = \"Authorization: Bearer $2\"" ;;
    wget) printf '%s\n' 'use_proxy = off' 'tries = 1' "timeout = $call_seconds" "header = $json" \
      "header = Authorization: Bearer $2" ;;
    *) printf '%s\n' "Authorization: Bearer $2" ;;
  esac >"$state/$1"
}

# call METHOD-OR-PATH CREDENTIALS: posts $body, or $exchange/request when $body is empty. Leaves the answer in
# $exchange/answer and the HTTP status in $status, 000 without a complete answer. Each process has its own $exchange.
call() {
  status=000
  true >"$exchange/answer"
  posted=${body:-"$exchange/request"}
  case $1 in
    /*) url=$RUNNER_URL$1 ;;
    *) url=$RUNNER_URL/solstice.v1.RunnerService/$1 ;;
  esac
  case $client in
    curl) call_with_curl "$2" ;;
    wget) call_with_wget "$2" || read_refusal ;;
    *) call_with_small_wget "$2" || read_refusal ;;
  esac
}

call_with_curl() {
  curl -q --config "$state/$1" --data-binary "@$posted" --output "$exchange/answer" \
    --write-out '%{http_code}\n' "$url" >"$exchange/status" 2>/dev/null || true >"$exchange/status"
  read -r status <"$exchange/status" || status=000
}

call_with_wget() {
  wget --config="$state/$1" -nv -O "$exchange/answer" --post-file="$posted" "$url" 2>"$exchange/status" && status=200
}

call_with_small_wget() {
  program=wget
  [ "$client" = small_wget ] || program='busybox wget'
  read -r authorization <"$state/$1"
  # shellcheck disable=SC2086  # word splitting is intended
  $bounded $program -q -Y off -O "$exchange/answer" --header "$authorization" --header 'Content-Type: application/json' \
    --post-file "$posted" "$url" 2>"$exchange/status" && status=200
}

# Finds the HTTP status in the error messages of a wget.
read_refusal() {
  while read -r line; do
    case $line in
      *' ERROR '[45][0-9][0-9]:*) line=${line#* ERROR } && status=${line%%:*} ;;
      *'HTTP/1.'[01]' '[45][0-9][0-9]*) line=${line#*HTTP/1.? } && status=${line%% *} ;;
    esac
  done <"$exchange/status"
}

# call_runner METHOD: sends $exchange/request with the session's credentials. Returns 0 when the call succeeds. Sets
# $received, counts consecutive $failures, and obeys a `stop` and a refusal of the whole attempt.
call_runner() {
  call "$1" session
  case $status in
    200) read_answer && failures=0 && return 0 ;;
    # The attempt is over, or another one has started.
    401 | 403) abandon "the orchestrator no longer accepts this attempt" ;;
  esac
  failures=$((failures + 1))
  return 1
}

# Reads the useful fields of an answer. The orchestrator omits zeros and false flags.
read_answer() {
  answer=''
  read -r answer <"$exchange/answer"
  case $answer in '{'*) ;; *) return 1 ;; esac
  received=0
  case $answer in
    *'"received"'*)
      received=${answer#*'"received"'}
      received=${received#"${received%%[0-9]*}"}
      received=${received%%[!0-9]*}
      ;;
  esac
  case $answer in *'"stopNow"'*true*) request_stop_now ;; *'"stop"'*true*) request_stop ;; esac
}

# Waits before a retry: longer with each failure, up to 10 s, and with jitter, so that guests do not retry at the same
# moment. The jitter is a digit of the session token: that needs no fork.
back_off() {
  seconds=$((failures < 10 ? failures : 10))
  digit=${jitter#"${jitter%?}"}
  jitter=$digit${jitter%?}
  case $tick in
    1) sleep "$seconds" ;;
    *) sleep "$((seconds > 0 ? seconds - 1 : 0)).$((0x$digit * 5 / 8 + 1))" ;;
  esac
}
