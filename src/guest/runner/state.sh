# Stores the state of the runner: short lines in files of $state, which its processes read. Sourced by runner.sh.
# shellcheck shell=sh disable=SC2034,SC2154  # variables are shared with the files beside this one
#
# A job may fill every disk of its guest. So the state has a file system of its own if possible, and otherwise a
# reserve of free space; and every write is checked. `: >FILE` is avoided, because a shell exits when a special
# built-in cannot write.

state_megabytes=16
reserve_blocks=64 # 256 KiB, for a request with the shortest chunk and all lines of the steps

# 16 KiB
probe_text=................
for _ in 1 2 3 4 5 6 7 8 9 10; do probe_text=$probe_text$probe_text; done

# Only in a guest: mounting on any other machine must not happen.
mount_state() {
  [ "$power_off_at_end" = yes ] || return 0
  case $(uname -s) in
    SunOS) mount -F tmpfs -o "size=${state_megabytes}m" swap "$state" ;;
    *) mount -t tmpfs -o "size=${state_megabytes}m,mode=700" tmpfs "$state" ;;
  esac 2>/dev/null || return 0
}

# keep FILE LINE: stores a line; returns 1 when the disk is full even without the reserve.
keep() {
  printf '%s\n' "$2" >"$state/$1" && return
  make_room && printf '%s\n' "$2" >"$state/$1"
} 2>/dev/null

# keep_also FILE LINE: like `keep`, but appends to the file.
keep_also() {
  printf '%s\n' "$2" >>"$state/$1" && return
  make_room && printf '%s\n' "$2" >>"$state/$1"
} 2>/dev/null

# mark FILE: creates an empty file.
mark() { { true >"$state/$1"; } 2>/dev/null || { make_room && true >"$state/$1"; }; }

make_room() { [ -e "$state/reserve" ] && rm -f "$state/reserve"; }

# True when there is room for a request and its answer.
can_keep() {
  keep probe "$probe_text"
  kept=$?
  { true >"$state/probe"; } 2>/dev/null
  return $kept
}

# Records that some output is missing from the spool. Emptying the file `whole` needs no room.
lose_output() {
  true >"$state/whole"
  keep_also lost-bytes 1
} 2>/dev/null

# Leaves in $lost_bytes the smallest possible number of missing bytes: 0 for a complete spool.
count_lost() {
  lost_bytes=0
  [ ! -s "$state/whole" ] || return 0
  while read -r count; do lost_bytes=$((lost_bytes + count)); done <"$state/lost-bytes"
  [ "$lost_bytes" -gt 0 ] || lost_bytes=1
} 2>/dev/null

# Creates the files for the running step ("PID KIND") and the end ("EXIT_CODE FAILURE"). Their first line is
# overwritten in place, which needs no room on the disk.
make_fixed_files() {
  for file in step result; do
    keep $file '                               ' && printf '\n' 1<>"$state/$file" || return 1
  done
}

read_step() { read -r step_pid step_kind <"$state/step" && [ -n "$step_pid" ]; }

read_result() { read -r code failure <"$state/result" && [ -n "$code" ]; }

keep_result() { printf '%s\n' "$1" 1<>"$state/result"; }

clear_step() { printf '\n' 1<>"$state/step"; }
