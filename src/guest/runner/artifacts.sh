# Sends a job's artifacts after its steps have ended. Sourced by runner.sh; runs in the main process.
# shellcheck shell=sh disable=SC2034,SC2154  # variables are shared with the files beside this one

artifact_refusals_max=20

# Sends the files of all patterns. Leaves in $artifact_failure and $artifact_detail the report for the orchestrator: a
# failure that decides when all steps succeeded, and a sentence for people.
collect_artifacts() {
  artifact_failure='' artifact_detail='' refused=0
  [ "$PLAN_ARTIFACT_COUNT" -gt 0 ] && [ ! -e "$state/stop" ] || return 0
  begin_transfers
  artifact=1
  while [ $artifact -le "$PLAN_ARTIFACT_COUNT" ] && [ ! -e "$state/stop" ]; do
    eval "pattern=\$PLAN_ARTIFACT_${artifact}_PATTERN required=\$PLAN_ARTIFACT_${artifact}_REQUIRED"
    eval "when=\$PLAN_ARTIFACT_${artifact}_WHEN"
    artifact=$((artifact + 1))
    case $when:$code in success:0 | failure:[1-9]* | always:*) ;; *) continue ;; esac
    collect_pattern || break
  done
  [ -z "$artifact_detail" ] || printf '%s' "$artifact_detail" | encode >"$state/detail" || rm -f "$state/detail"
}

# Sends the files of one pattern. Returns 1 when the other patterns must be skipped.
collect_pattern() {
  (cd "$work/checkout" && /bin/sh "$here/list-files.sh" pattern "$pattern") >"$exchange/list" 2>>"$spool"
  can_keep || { artifact_problem artifact_upload "the guest's disk is full: the files of '$pattern' cannot be listed" && return 1; }
  kept=0 listed=0
  while IFS= read -r line; do
    listed=$((listed + 1))
    file=$line
    case $line in *\\*) file=$(printf '%b.' "$line") && file=${file%.} ;; esac
    upload artifact "$file" "$work/checkout/$file" </dev/null
    case $? in
      0) kept=$((kept + 1)) ;;
      1) refuse_file || return 1 ;;
      2)
        artifact_problem artifact_upload "artifact $line could not be sent: no answer from the orchestrator for $transfer_patience s"
        return 1
        ;;
      *) return 1 ;;
    esac
  done <"$exchange/list"
  if [ $listed -gt 0 ]; then note "artifacts '$pattern': kept $kept of $listed files"
  elif [ "$required" = yes ]; then artifact_problem artifact_missing "no file matches the artifact pattern '$pattern'"
  else note "artifacts '$pattern': no file matches"
  fi
}

refuse_file() {
  sentence="artifact $line is not kept: $refusal"
  if [ "$required" = yes ]; then artifact_problem artifact_refused "$sentence"
  else artifact_problem '' "$sentence"
  fi
  refused=$((refused + 1))
  [ $refused -lt $artifact_refusals_max ] || { note "no more artifacts are sent: $refused were refused" && return 1; }
}

# artifact_problem FAILURE SENTENCE: logs the problem and keeps the first one for the verdict; a problem that fails the
# job replaces one that does not.
artifact_problem() {
  note "$2"
  if [ -z "$artifact_detail" ] || { [ -z "$artifact_failure" ] && [ -n "$1" ]; }; then
    artifact_failure=$1 artifact_detail=$2
  fi
}
