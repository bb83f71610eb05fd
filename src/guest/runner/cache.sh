#!/bin/sh
# Restores or saves the caches of a job: a separate step in the checkout, before and after the job's steps.
# Usage: cache.sh restore|save WORK
#
# Every problem is logged, and the job continues: the exit code is always 0. An archive is sent and fetched as a whole
# file, so that a transfer can be resumed, and unpacked only after its digest was verified.
# shellcheck disable=SC2034,SC2154,SC2317  # variables and functions are shared with the files beside this one

action=$1
work=$2
here=${0%/*}
state=$here/state
archive=$work/cache-archive
call_seconds=60
call_attempts_max=8

# shellcheck source=/dev/null
. "$here/tools.sh"
# shellcheck source=/dev/null
. "$here/calls.sh"
# shellcheck source=/dev/null
. "$here/archive.sh"
# shellcheck source=/dev/null
. "$here/transfer.sh"
# shellcheck source=/dev/null
. "$here/download.sh"
# Replaces the function of runner.sh that calls.sh needs: the sender ends this step when the job must end.
request_stop() { :; }
abandon() { :; }

report() { printf 'cache %s: %s\n' "$key" "$*"; }

size_text() {
  if [ "$1" -lt 1048576 ]; then echo "$((($1 + 1023) / 1024)) KiB"
  else echo "$(($1 / 1048576)).$(($1 % 1048576 * 10 / 1048576)) MiB"
  fi
}

# expand NAME: leaves in $key the key whose parts are the variables NAME_1 and so on: "=TEXT", or "#FILE" for its hash.
expand() {
  eval "parts=\$${1}_PARTS"
  key='' part=1
  while [ "$part" -le "$parts" ]; do
    eval "value=\$${1}_$part"
    case $value in
      '#'*) key=$key$(hash_file "./${value#?}") ;;
      *) key=$key${value#?} ;;
    esac
    part=$((part + 1))
  done
}

# Prints the first 32 digits of a file's SHA-256; a path that is not a readable file counts as missing.
hash_file() {
  if [ -f "$1" ] && [ -r "$1" ]; then printf '%.32s' "$(hash_stdin <"$1")"
  else printf none
  fi
}

# call_with_retries METHOD: sends $exchange/request, with retries. Returns 1 when the call is refused, or after too many failures.
call_with_retries() {
  failures=0
  while :; do
    call "$1" session
    case $status in
      200) read_answer && return 0 ;;
      408 | 429) ;;
      4*) return 1 ;;
    esac
    failures=$((failures + 1))
    [ $failures -lt $call_attempts_max ] || return 1
    back_off
  done
}

# field NAME: prints a text field of the last answer. The text of a key may equal a field's name.
field() {
  awk -F '"' -v name="$1" '{
    for (i = 2; i < NF; i += 2) if ($i == name && substr($(i + 1), 1, 1) == ":") { print $(i + 2); exit }
  }' "$exchange/answer"
}

restore_cache() {
  expand "PLAN_CACHE_${number}_KEY"
  primary_key=$key
  printf '%s\n' "$primary_key" >"$exchange/key-$number"
  restore_keys='' count=1
  eval "restore_count=\$PLAN_CACHE_${number}_RESTORE_COUNT"
  while [ "$count" -le "$restore_count" ]; do
    expand "PLAN_CACHE_${number}_RESTORE_$count"
    restore_keys="$restore_keys${restore_keys:+,}\"$key\""
    count=$((count + 1))
  done
  key=$primary_key
  printf '{"index":%s,"key":"%s","restoreKeys":[%s]}' $((number - 1)) "$key" "$restore_keys" >"$exchange/request"
  call_with_retries RestoreCache || { report "the orchestrator did not answer ($status); continuing without it" && return; }
  case $(field outcome) in
    hit) found=hit ;;
    partial) found="partial hit, $(field key)" ;;
    *) report "no entry (miss)" && return ;;
  esac
  entry=$(field entryId) size=$(field size) sha256=$(field sha256)
  compression=$(field compression) first_part=$(field firstPartBytes)
  : "${first_part:=0}"
  can_unpack || { report "$found, but this guest has no $compression to unpack it; continuing without it" && return; }
  fetch_archive || { report "$found, but its $(size_text "$size") could not be fetched; continuing without it" && return; }
  remember_absent
  if unpack; then report "restored $(size_text "$size") ($found)"
  else
    remove_unpacked
    report "$found, but it could not be unpacked; continuing without it"
  fi
}

fetch_archive() {
  true >"$archive" && download "cache/$entry" "$size" "$archive" || return 1
  [ "$(hash_stdin <"$archive")" = "$sha256" ]
}

save_cache() {
  key=''
  [ ! -s "$exchange/key-$number" ] || read -r key <"$exchange/key-$number"
  # The restore was interrupted.
  [ -n "$key" ] || expand "PLAN_CACHE_${number}_KEY"
  size=0 first_part=0 compression=none
  request_save || return
  pack || { report "not saved: ${trouble:-its paths could not be packed}" && return; }
  size=$(($(wc -c <"$archive")))
  request_save || return
  send_archive || { report "not saved: ${refusal:-its $(size_text "$size") could not be sent}" && return; }
  request_save && report "not saved: the orchestrator did not store it"
}

# Returns 0 when the orchestrator wants the archive; else 1, after logging the outcome.
request_save() {
  printf '{"index":%s,"key":"%s","size":"%s","compression":"%s","firstPartBytes":"%s"}' $((number - 1)) "$key" "$size" \
    "$compression" "$first_part" >"$exchange/request"
  call_with_retries SaveCache || { report "not saved: the orchestrator did not answer ($status)" && return 1; }
  case $(field outcome) in
    send) return 0 ;;
    saved) report "saved $(size_text "$size")" ;;
    *) report "not saved: $(field message)" ;;
  esac
  return 1
}

send_archive() { upload cache "$(field uploadName)" "$archive"; }

main() {
  umask 077
  # shellcheck source=/dev/null
  . "$here/runner.conf" && . "$state/cache-plan" && find_tools || return
  read -r jitter <"$state/token" && read -r give_up_at <"$state/give-up-at" || return
  begin_transfers
  transfer_patience=60
  key='of this job'
  find_archive_tools || { report "this guest has no tar; continuing without caches" && return; }
  # SHA-256 of the letter x.
  [ "$(printf x | hash_stdin)" = 2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881 ] ||
    { report "this guest has no program for SHA-256; continuing without caches" && return; }
  number=1
  while [ "$number" -le "$PLAN_CACHE_COUNT" ]; do
    case $action in
      restore) restore_cache ;;
      save) save_cache ;;
    esac
    rm -f "$archive"
    number=$((number + 1))
  done
}

main
exit 0
