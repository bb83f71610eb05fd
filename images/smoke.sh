#!/usr/bin/env bash
# Boots an image with a trivial seed, in plain QEMU under software emulation, and reports how long it took.
# Usage: images/smoke.sh NAME|FILE [--trace] [--script FILE] [--append "KERNEL ARGUMENTS"]
#   --trace    show the console, each line with the seconds since power-on
#   --script   run FILE in the guest as boot.sh instead of the trivial one; it must power the guest off
# Exit: 0 the guest ran boot.sh and powered off; 1 it did not.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
limit_seconds=300
marker="smoke: boot.sh runs"
trace=no
script=

# Prints the microseconds since the epoch.
now() { echo "${EPOCHREALTIME/[.,]/}"; }

# Prints a duration in microseconds as seconds with two digits.
seconds() { printf '%d.%02d' $(($1 / 1000000)) $(($1 % 1000000 / 10000)); }

write_boot_script() {
  if [ -n "$script" ]; then
    cat "$script"
    return
  fi
  cat <<'GUEST'
{
  echo "smoke: boot.sh runs, guest uptime $(cut -d ' ' -f 1 /proc/uptime) s"
  ip -4 addr show scope global | sed -n 's/.*inet \([^ ]*\).*/smoke: address \1/p'
} >/dev/console
poweroff -f -f
GUEST
}

# The seed has the form that src/guest generates.
write_seed() {
  mkdir "$work/seed"
  printf 'instance-id: smoke-%s\nlocal-hostname: smoke\n' "$$" >"$work/seed/meta-data"
  {
    printf '#cloud-config\ncloud_init_modules: [write_files, bootcmd]\ncloud_config_modules: []\ncloud_final_modules: []\n'
    printf 'write_files:\n  - path: /run/solstice/boot.sh\n    permissions: "0700"\n    encoding: b64\n'
    printf '    content: %s\n' "$(write_boot_script | base64 -w 0)"
    printf 'bootcmd:\n  - [sh, /run/solstice/boot.sh]\n'
  } >"$work/seed/user-data"
  genisoimage -quiet -V cidata -J -r -o "$work/seed.iso" "$work/seed"
}

# Reads the console; prints it when tracing; remembers when the marker came.
watch_console() {
  local line
  while IFS= read -r line; do
    line=${line%$'\r'}
    [ "$trace" = no ] || printf '%7s %s\n' "$(seconds $(($(now) - started)))" "$line"
    case $line in
      *"$marker"*) seconds $(($(now) - started)) >"$work/marker" ;;
    esac
    case $line in smoke:*) [ "$trace" = yes ] || echo "$line" ;; esac
  done
}

# The same devices as src/hypervisor/libvirt gives a guest.
run_guest() {
  timeout "$limit_seconds" qemu-system-x86_64 -machine q35,accel=tcg -cpu max -smp 2 -m "${SMOKE_RAM_MB:-1024}" \
    -nodefaults -display none -serial stdio -no-reboot \
    -drive "file=$work/disk.qcow2,if=none,id=disk,format=qcow2,cache=unsafe" -device virtio-blk-pci,drive=disk \
    -drive "file=$work/seed.iso,if=none,id=seed,format=raw,readonly=on" -device virtio-blk-pci,drive=seed \
    -netdev user,id=net -device virtio-net-pci,netdev=net -device virtio-rng-pci </dev/null
}

main() {
  local image=$1
  shift
  while [ $# -gt 0 ]; do
    case $1 in
      --trace) trace=yes ;;
      --script) shift && script=$1 ;;
      *) echo "smoke: unknown option $1" >&2 && exit 2 ;;
    esac
    shift
  done
  [ -f "$image" ] || image=$("$here/build.sh" "$image" | tail -n 1)
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  qemu-img create -q -f qcow2 -b "$(realpath "$image")" -F qcow2 "$work/disk.qcow2"
  write_seed
  started=$(now)
  run_guest | watch_console
  local ended
  ended=$(now)
  [ -f "$work/marker" ] || { echo "smoke: the guest did not run boot.sh within $limit_seconds s" >&2 && exit 1; }
  echo "smoke: power-on to boot.sh $(cat "$work/marker") s, to power-off $(seconds $((ended - started))) s"
}

main "$@"
