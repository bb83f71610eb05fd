#!/bin/sh
# Builds a small Debian 12 guest with real cloud-init, git and curl, trimmed to boot fast under software emulation.
# See images/README.md for what each measure gained.
# Usage: images/debian/build.sh OUT    (OUT becomes a qcow2 file)
set -eu
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=/dev/null
. "$here/../lib/boot-disk.sh"

image=$1
suite=bookworm
# The root file system's size. The guest grows it to the disk it is given, after bootcmd, without being asked.
root_size=2G
packages="systemd-sysv,udev,kmod,cloud-init,git,curl,ca-certificates,iproute2,netbase,procps,acpid,e2fsprogs"
# The disk and the network are there before systemd starts, so that nothing waits for udev to find a driver.
modules="virtio_pci virtio_blk virtio_net virtio_rng isofs vfat nls_cp437 nls_ascii nls_utf8 button evdev"
# Mitigations guard users of one machine from each other. Here the job is the only user.
command_line="console=ttyS0 quiet mitigations=off nokaslr tsc=reliable no_timer_check 8250.nr_uarts=2 audit=0 apparmor=0 random.trust_cpu=on panic=-1 net.ifnames=0 rcupdate.rcu_expedited=1 systemd.show_status=false"

build_initramfs() {
  mkdir -p "$work/initramfs/bin" "$work/initramfs/proc" "$work/initramfs/sys" "$work/initramfs/dev" "$work/initramfs/root"
  cp "$work/packages/bin/busybox" "$work/initramfs/bin/busybox"
  install -m 0755 "$here/initramfs/init" "$work/initramfs/init"
  # shellcheck disable=SC2086  # a list of words is meant
  copy_modules "$work/packages" "$work/initramfs" "$version" $modules
  pack_initramfs "$work/initramfs" "$work/initrd"
}

# mmdebstrap may be in a user namespace, where only its hooks see files with their right owners. So the last hook
# writes the file system. No journal and no checksums: nobody ever repairs this disk.
build_root() {
  export SOLSTICE_VERSION="$version" SOLSTICE_PACKAGES="$work/packages" SOLSTICE_ROOT_FILE="$work/root.ext4" \
    SOLSTICE_ROOT_SIZE="$root_size"
  mmdebstrap --variant=apt --include="$packages" \
    --aptopt='Apt::Install-Recommends "false"' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
    --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    --customize-hook="$here/customize.sh \"\$1\"" \
    "$suite" /dev/null 2>"$work/log" || { tail -n 30 "$work/log" >&2 && exit 1; }
}

main() {
  require_boot_disk_tools
  require_programs mmdebstrap mke2fs
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  trap 'exit 1' INT TERM
  chmod 0755 "$work"
  kernel=$(cloud_kernel_package)
  version=${kernel#linux-image-}
  progress "downloading $kernel and busybox"
  download_packages "$work/packages" "$kernel" busybox-static
  progress "packing the initramfs"
  build_initramfs
  progress "installing Debian $suite into a directory (the longest step)"
  build_root
  progress "writing the disk"
  make_boot_disk "$work/disk.raw" "$work/packages/boot/vmlinuz-$version" "$work/initrd" "$command_line" "$work/root.ext4"
  qemu-img convert -f raw -O qcow2 "$work/disk.raw" "$image"
}

main
