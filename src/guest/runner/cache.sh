#!/bin/sh
# Restores or saves the caches of a job: a step of its own, in the checkout, before and after the steps of the job.
# Usage: cache.sh restore|save WORK
#
# Whatever goes wrong is said in the log, and the job goes on: the exit code is always 0. An archive is sent and fetched as
# a whole file, so that a transfer can be resumed, and nothing is unpacked before its digest was seen to be right.
# shellcheck disable=SC2034,SC2154,SC2317  # variables and functions are shared with the files beside this one

action=$1
work=$2
here=${0%/*}
state=$here/state
archive=$work/cache-archive
call_seconds=60
asks_max=8

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
# What the rest of the runner defines for these: a job that is to end has this step ended by the sender.
request_stop() { :; }
abandon() { :; }

tell() { printf 'cache %s: %s\n' "$key" "$*"; }

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

# Prints the first 32 digits of a file's SHA-256. What is no file, or cannot be read, counts as missing.
hash_file() {
  if [ -f "$1" ] && [ -r "$1" ]; then printf '%.32s' "$(hash_stdin <"$1")"
  else printf none
  fi
}

# ask METHOD: a call of $exchange/request, repeated while nobody answers. Returns 1 when it was refused, or for too long.
ask() {
  failures=0
  while :; do
    call "$1" session
    case $status in
      200) read_answer && return 0 ;;
      408 | 429) ;;
      4*) return 1 ;;
    esac
    failures=$((failures + 1))
    [ $failures -lt $asks_max ] || return 1
    back_off
  done
}

# field NAME: prints the text that the last answer has under a name. A key may have the text of a name.
field() {
  awk -F '"' -v name="$1" '{
    for (i = 2; i < NF; i += 2) if ($i == name && substr($(i + 1), 1, 1) == ":") { print $(i + 2); exit }
  }' "$exchange/answer"
}

restore_cache() {
  expand "PLAN_CACHE_${number}_KEY"
  wished=$key
  printf '%s\n' "$wished" >"$exchange/key-$number"
  restore_keys='' count=1
  eval "restore_count=\$PLAN_CACHE_${number}_RESTORE_COUNT"
  while [ "$count" -le "$restore_count" ]; do
    expand "PLAN_CACHE_${number}_RESTORE_$count"
    restore_keys="$restore_keys${restore_keys:+,}\"$key\""
    count=$((count + 1))
  done
  key=$wished
  printf '{"index":%s,"key":"%s","restoreKeys":[%s]}' $((number - 1)) "$key" "$restore_keys" >"$exchange/request"
  ask RestoreCache || { tell "the orchestrator could not be asked ($status); going on without it" && return; }
  case $(field outcome) in
    hit) found=hit ;;
    partial) found="partial hit, $(field key)" ;;
    *) tell "nothing there (miss)" && return ;;
  esac
  entry=$(field entryId) size=$(field size) sha256=$(field sha256)
  compression=$(field compression) first_part=$(field firstPartBytes)
  : "${first_part:=0}"
  can_unpack || { tell "$found, but this guest has no $compression to unpack it; going on without it" && return; }
  fetch_archive || { tell "$found, but its $(size_text "$size") could not be fetched; going on without it" && return; }
  remember_absent
  if unpack; then tell "restored $(size_text "$size") ($found)"
  else
    remove_unpacked
    tell "$found, but it could not be unpacked; going on without it"
  fi
}

fetch_archive() {
  true >"$archive" && download "cache/$entry" "$size" "$archive" || return 1
  [ "$(hash_stdin <"$archive")" = "$sha256" ]
}

save_cache() {
  key=''
  [ ! -s "$exchange/key-$number" ] || read -r key <"$exchange/key-$number"
  # The restore was cut off.
  [ -n "$key" ] || expand "PLAN_CACHE_${number}_KEY"
  size=0 first_part=0 compression=none
  ask_to_save || return
  pack || { tell "not saved: ${trouble:-its paths could not be packed}" && return; }
  size=$(($(wc -c <"$archive")))
  ask_to_save || return
  send_archive || { tell "not saved: ${refusal:-its $(size_text "$size") could not be sent}" && return; }
  ask_to_save && tell "not saved: the orchestrator did not keep it"
}

# Returns 0 when the orchestrator wants the archive, else after it was told what is to be said.
ask_to_save() {
  printf '{"index":%s,"key":"%s","size":"%s","compression":"%s","firstPartBytes":"%s"}' $((number - 1)) "$key" "$size" \
    "$compression" "$first_part" >"$exchange/request"
  ask SaveCache || { tell "not saved: the orchestrator could not be asked ($status)" && return 1; }
  case $(field outcome) in
    send) return 0 ;;
    saved) tell "saved $(size_text "$size")" ;;
    *) tell "not saved: $(field message)" ;;
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
  find_archive_tools || { tell "this guest has no tar; going on without" && return; }
  # SHA-256 of the letter x.
  [ "$(printf x | hash_stdin)" = 2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881 ] ||
    { tell "this guest has nothing to compute a SHA-256 with; going on without" && return; }
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
