# Sends files to the orchestrator: announced by a call, sent in chunks by offset. Sourced by runner.sh; used by the
# main process, with its own exchange files, because the sender makes calls at the same time.
# shellcheck shell=sh disable=SC2034,SC2154  # variables are shared with the files beside this one

transfer_block_bytes=4096
transfer_blocks_max=1024 # 4 MiB: a chunk lies on the disk and in a client's memory
transfer_blocks_min=64
transfer_patience=300 # seconds without a successful answer
transfer_restarts_max=3

begin_transfers() {
  exchange=$state/transfer
  mkdir -p "$exchange"
  transfer_blocks=$transfer_blocks_min failures=0
  answered_at=$(now)
  # A call takes at most 1 MiB.
  case $client in curl | wget) ;; *) transfer_blocks_max=256 ;; esac
}

# upload KIND NAME PATH: sends the file at PATH. Returns 0 when it is stored; 1 when it is refused, with the reason in
# $refusal; 2 when the orchestrator could not be reached for too long; 3 when the job must end.
upload() {
  refusal='' restarts=0
  upload_name=$(printf '%s' "$2" | encode)
  upload_size=$(wc -c <"$3") || { refusal='it cannot be read' && return 1; }
  upload_size=$((upload_size))
  until begin_upload "$1"; do transfer_failed || return; done
  upload_sha256=''
  while [ -z "$stored" ]; do
    [ -z "$refusal" ] || return 1
    if [ "$received" -lt "$upload_size" ]; then
      send_chunk "$3"
    else
      [ -n "$upload_sha256" ] || upload_sha256=$(head -c "$upload_size" "$3" | hash_stdin)
      finish_upload
    fi || transfer_failed || return
  done
}

begin_upload() {
  printf '{"kind":"%s","name":"%s","size":"%s"}' "$1" "$upload_name" "$upload_size" >"$exchange/request"
  call_transfer BeginUpload || return
  upload_id=$(answered uploadId)
  refusal=$(answered refusal)
}

send_chunk() {
  first=$((received / transfer_block_bytes)) before=$received
  dd if="$1" bs="$transfer_block_bytes" skip="$first" count="$transfer_blocks" 2>/dev/null |
    head -c $((upload_size - first * transfer_block_bytes)) >"$work/chunk"
  if [ $(($(wc -c <"$work/chunk") + first * transfer_block_bytes)) -le "$received" ]; then
    if [ $(($(wc -c <"$1"))) -lt "$upload_size" ]; then refusal='it became shorter while it was sent'
    else refusal='the disk of the guest is full'
    fi
    return 0
  fi
  post_chunk $((first * transfer_block_bytes))
  chunk_result=$?
  rm -f "$work/chunk"
  if [ $chunk_result = 0 ]; then
    [ "$transfer_blocks" -ge "$transfer_blocks_max" ] || transfer_blocks=$((transfer_blocks * 2))
    [ "$received" -gt "$before" ]
  else
    transfer_blocks=$transfer_blocks_min
    return 1
  fi
}

# post_chunk OFFSET: sends $work/chunk. The wget of busybox ends a posted file at a byte 0, so it sends base64 instead.
post_chunk() {
  case $client in
    curl | wget)
      body=$work/chunk
      call_transfer "/v1/uploads/$upload_id?offset=$1"
      post_result=$?
      body=''
      return $post_result
      ;;
    *)
      {
        printf '{"uploadId":"%s","offset":"%s","data":"' "$upload_id" "$1"
        encode <"$work/chunk"
        printf '"}'
      } >"$exchange/request"
      call_transfer AppendUpload
      ;;
  esac
}

finish_upload() {
  printf '{"uploadId":"%s","sha256":"%s"}' "$upload_id" "$upload_sha256" >"$exchange/request"
  call_transfer FinishUpload || return
  [ -z "$stored" ] && [ "$received" -lt "$upload_size" ] || return 0
  # The received bytes differ from the file; when the file keeps changing, the upload ends after some restarts.
  upload_sha256='' restarts=$((restarts + 1))
  [ $restarts -lt $transfer_restarts_max ] || refusal='it changed while it was sent'
}

# call_transfer METHOD-OR-PATH: sets $received and $stored.
call_transfer() {
  call "$1" session
  [ "$status" = 200 ] && read_answer || return 1
  failures=0 stored=''
  answered_at=$(now)
  case $answer in *'"stored"'*) stored=yes ;; esac
}

# answered FIELD: prints a text field of the answer; the orchestrator's texts have no quotes in them.
answered() {
  case $answer in
    *"\"$1\""*)
      text=${answer#*"\"$1\""}
      text=${text#*\"}
      printf '%s\n' "${text%%\"*}"
      ;;
  esac
}

# Waits after a failed call, and returns 0 for a retry.
transfer_failed() {
  [ ! -e "$state/stop" ] || return 3
  case $status in
    401 | 403) abandon "the orchestrator no longer accepts this attempt" && return 3 ;;
    # Too many calls at once, or a timeout: retry.
    429 | 408) ;;
    4*) refusal="the orchestrator refuses it ($status)" && return 1 ;;
  esac
  failures=$((failures + 1))
  transfer_now=$(now)
  [ "$transfer_now" -lt $((answered_at + transfer_patience)) ] && [ "$transfer_now" -lt "$give_up_at" ] || return 2
  back_off
}
