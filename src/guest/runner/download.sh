# Fetches files from the orchestrator. Sourced by cache.sh.
# shellcheck shell=sh disable=SC2034,SC2154  # variables are shared with the files beside this one

download_failures_max=8

# download PATH SIZE FILE: appends the missing bytes to FILE. An attempt that brought bytes does not count as failed.
download() {
  failures=0
  while :; do
    had=$(($(wc -c <"$3")))
    [ "$had" -lt "$2" ] || break
    fetch "$RUNNER_URL/v1/downloads/$1?offset=$had" >>"$3" 2>/dev/null
    [ $(($(wc -c <"$3"))) -le "$had" ] || { failures=0 && continue; }
    failures=$((failures + 1))
    [ $failures -lt $download_failures_max ] || return 1
    back_off
  done
  [ "$had" = "$2" ]
}

fetch() {
  case $client in
    curl) curl -q --config "$state/session" --fail "$1" ;;
    wget) wget --config="$state/session" -q -O - "$1" ;;
    *)
      program=wget
      [ "$client" = small_wget ] || program='busybox wget'
      read -r authorization <"$state/session"
      # shellcheck disable=SC2086  # word splitting is intended
      $bounded $program -q -Y off -O - --header "$authorization" "$1"
      ;;
  esac
}
