#!/bin/sh
# Replaces systemctl where systemd does not run. Handles the orchestrator as its unit does: SIGUSR2 stops, SIGHUP
# reloads, and a start or a reload has succeeded when the orchestrator has reported it. A reload of nginx starts nginx
# when it does not run.
set -eu
pid_file=/run/solstice-orchestrator.pid
log=/run/solstice-orchestrator.log
note=/var/lib/solstice/orchestrator.json

fail() {
  echo "systemctl: $*" >&2
  [ ! -f "$log" ] || tail -n 20 "$log" >&2
  exit 1
}
# A zombie, which its parent has not reaped yet, counts as ended.
runs() { [ -s "$pid_file" ] && readlink "/proc/$(cat "$pid_file")/exe" >/dev/null 2>&1; }
reloads() { grep -c 'reloaded: ' "$log" || true; }

# wait_until COMMAND...: for at most 60 s.
wait_until() {
  tries=0
  until "$@"; do
    tries=$((tries + 1))
    [ "$tries" -lt 1200 ] || fail "waited in vain: $*"
    sleep 0.05
  done
}
is_started() { runs || fail "the orchestrator has ended"; [ -s "$note" ]; }
has_ended() { ! runs; }
has_reloaded() { [ "$(reloads)" != "$before" ]; }

start() {
  runs && return
  set -a
  # shellcheck source=/dev/null
  . /run/page-host.env
  # shellcheck source=/dev/null
  . /etc/solstice/orchestrator.env
  export ENVIRONMENT_FILE=-/etc/solstice/orchestrator.env
  export SOLSTICE_DATA_DIR=/var/lib/solstice
  set +a
  rm -f "$note"
  setsid solstice orchestrator >/dev/null 2>>"$log" &
  echo $! >"$pid_file"
  wait_until is_started
}

stop() {
  runs || return 0
  kill -USR2 "$(cat "$pid_file")"
  wait_until has_ended
}

reload() {
  before=$(reloads)
  kill -HUP "$(cat "$pid_file")"
  wait_until has_reloaded
}

case "$*" in
  daemon-reload) ;;
  "start solstice-orchestrator" | "start solstice-orchestrator.service" | "enable --now solstice-orchestrator") start ;;
  "stop solstice-orchestrator" | "disable --now solstice-orchestrator") stop ;;
  "restart solstice-orchestrator") stop && start ;;
  "reload solstice-orchestrator") reload ;;
  "reload nginx") if [ -s /run/nginx.pid ]; then nginx -s reload; else nginx; fi ;;
  *) fail "not known here: $*" ;;
esac
