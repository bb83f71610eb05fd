# Finds the guest's programs for the runner's needs. Sourced by runner.sh.
# shellcheck shell=sh disable=SC2034,SC2154  # variables are shared with the files beside this one

# Writes a message for people to the log of the job.
note() { printf 'solstice: %s\n' "$*" >>"$spool" || lose_output; } 2>/dev/null

# Writes a message to the guest's console.
say() { printf 'solstice: %s\n' "$*" >&2; }

uptime_file=/proc/uptime

have() { command -v "$1" >/dev/null 2>&1; }

wall_clock() { date +%s; }

# Leaves in $clock the clock that `now` uses. A step may set the date, so deadlines need another clock. Without any of
# the supported clocks, the date is used.
find_clock() {
  clock='date'
  if uptime=0 && read -r uptime _ <"$uptime_file" && is_number "${uptime%%.*}"; then clock=uptime
  elif have kstat && is_number "$(kstat_seconds)"; then clock=kstat
  elif have sysctl && is_number "$(boot_seconds)"; then clock=boot
  fi
} 2>/dev/null

is_number() { case $1 in '' | *[!0-9]*) return 1 ;; esac }

# Prints the seconds since a fixed moment, independent of changes of the date.
now() {
  case $clock in
    uptime) read -r uptime _ <"$uptime_file" && printf '%s\n' "${uptime%%.*}" ;;
    kstat) kstat_seconds ;;
    # The BSDs adjust the boot time when the date is set: the difference stays right.
    boot) printf '%s\n' "$(($(wall_clock) - $(boot_seconds)))" ;;
    *) wall_clock ;;
  esac
}

# Prints illumos' time of the snapshot, in seconds since the boot: "unix:0:system_misc:snaptime<TAB>5271.993412".
kstat_seconds() {
  snapshot=$(kstat -p unix:0:system_misc:snaptime 2>/dev/null)
  snapshot=${snapshot##*[!0-9.]}
  printf '%s\n' "${snapshot%%.*}"
}

# Prints the boot time of the BSDs: "{ sec = 1271934886, usec = 667779 } Thu Apr 22 11:14:46 2010", or the number
# alone.
boot_seconds() {
  booted=$(sysctl -n kern.boottime 2>/dev/null)
  booted=${booted#*sec = }
  printf '%s\n' "${booted%%[!0-9]*}"
}

find_tools() {
  find_clock
  find_client || return 1
  if [ "$(printf x | base64 -w0 2>/dev/null)" = eA== ]; then base64=wide
  elif [ "$(printf x | base64 2>/dev/null)" = eA== ]; then base64=plain
  elif [ "$(printf x | openssl base64 2>/dev/null)" = eA== ]; then base64=openssl
  else base64='awk'
  fi
  # Pauses between polls, normal and while output flows, and their length in twentieths of a second.
  tick=1 ticks_per_second=1 tick_twentieths=20 flow_tick=1 flow_twentieths=20
  if sleep 0.01 2>/dev/null; then
    tick=0.15 ticks_per_second=6 tick_twentieths=3 flow_tick=0.05 flow_twentieths=1
  fi
  own_session=''
  if have setsid; then own_session=setsid
  elif have setpgrp; then own_session=setpgrp
  fi
}

find_client() {
  if have curl; then client=curl
  elif have wget && wget --version 2>/dev/null | grep GNU >/dev/null; then client=wget
  elif have wget; then client=small_wget
  elif have busybox && busybox wget --help >/dev/null 2>&1; then client=busybox_wget
  else say "this guest has neither curl nor wget" && return 1
  fi
  # Limits the time of a small wget, which may have no timeout. Only KILL works: the sender and its children ignore
  # other signals. Old busyboxes require -t.
  bounded=''
  if ! have timeout; then :
  elif timeout -s KILL 1 true 2>/dev/null; then bounded="timeout -s KILL $call_seconds"
  elif timeout -t 1 -s KILL true 2>/dev/null; then bounded="timeout -t $call_seconds -s KILL"
  fi
}

encode() {
  case $base64 in
    wide) base64 -w0 ;;
    plain) base64 | tr -d '\n' ;;
    openssl) openssl base64 | tr -d '\n' ;;
    awk) encode_with_awk ;;
  esac
}

encode_with_awk() {
  od -An -v -tx1 | awk '
    BEGIN {
      digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
      for (i = 0; i < 256; i++) value[sprintf("%02x", i)] = i
    }
    function put(n, bytes) {
      printf "%s%s%s%s", substr(digits, int(n / 262144) + 1, 1), substr(digits, int(n / 4096) % 64 + 1, 1),
        (bytes > 1 ? substr(digits, int(n / 64) % 64 + 1, 1) : "="), (bytes > 2 ? substr(digits, n % 64 + 1, 1) : "=")
    }
    { for (i = 1; i <= NF; i++) { n = n * 256 + value[$i]; if (++count == 3) { put(n, 3); n = count = 0 } } }
    END { if (count == 1) put(n * 65536, 1); if (count == 2) put(n * 256, 2) }'
}

# Decodes one line of base64. The last method loses bytes of 0, which a plan does not have.
decode() {
  case $base64 in
    wide | plain) base64 -d ;;
    openssl) fold -w 64 | openssl base64 -d ;;
    awk) printf '%b\n' "$(decode_with_awk)" ;;
  esac
}

# Prints octal escapes, because not every awk can print a byte above 127.
decode_with_awk() {
  fold -w 64 | awk '
    BEGIN {
      digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
      for (i = 1; i <= 64; i++) value[substr(digits, i, 1)] = i - 1
    }
    { for (i = 1; i <= length($0); i += 4) {
        group = substr($0, i, 4)
        n = 0
        for (j = 1; j <= 4; j++) n = n * 64 + value[substr(group, j, 1)]
        bytes = index(group, "=") ? index(group, "=") - 2 : 3
        for (j = 0; j < bytes; j++) { printf "\\0%03o", int(n / 65536) % 256; n = n * 256 }
    } }'
}

# Prints the SHA-256 of stdin in hex. Without a tool it prints zeros, and the orchestrator shows the log as unproven.
hash_stdin() {
  if have sha256sum; then sum=$(sha256sum)
  elif have openssl; then sum=$(openssl dgst -sha256) && sum=${sum##* }
  elif have shasum; then sum=$(shasum -a 256)
  elif have digest; then sum=$(digest -a sha256)
  elif have sha256; then sum=$(sha256)
  elif have busybox; then sum=$(busybox sha256sum)
  else sum=0000000000000000000000000000000000000000000000000000000000000000
  fi
  printf '%s\n' "${sum%% *}"
}
