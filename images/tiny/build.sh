#!/bin/sh
# Builds the tiny guest: Debian's cloud kernel and a busybox initramfs on a bootable disk. See images/README.md.
# Usage: images/tiny/build.sh OUT    (OUT becomes a qcow2 file)
set -eu
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=/dev/null
. "$here/../lib/boot-disk.sh"

out=$1
# virtio-rng feeds the guest fresh randomness; button and evdev let it see the power button.
modules="virtio_pci virtio_blk virtio_net virtio_rng isofs vfat nls_cp437 nls_ascii nls_utf8 button evdev"
# Not loaded: what a hostile job may want to send frames of other kinds with. Its own order is in spare-order.
spare_modules="bridge 8021q"
# The guest is thrown away and its only user is the job: guarding the job from itself against CPU side channels
# would cost emulated guests a third of their boot.
command_line="console=ttyS0 quiet mitigations=off nokaslr tsc=reliable no_timer_check 8250.nr_uarts=2 audit=0 apparmor=0 no5lvl edd=off random.trust_cpu=on panic=-1"

build_root() {
  mkdir -p "$work/root/bin" "$work/root/etc" "$work/root/proc" "$work/root/sys" "$work/root/dev" "$work/root/run" \
    "$work/root/tmp" "$work/root/root" "$work/root/mnt" "$work/root/var/log"
  cp "$work/packages/bin/busybox" "$work/root/bin/busybox"
  "$work/root/bin/busybox" --list | while read -r applet; do
    [ "$applet" = busybox ] || ln -s busybox "$work/root/bin/$applet"
  done
  ln -s bin "$work/root/sbin"
  mkdir -p "$work/root/usr"
  ln -s ../bin "$work/root/usr/bin"
  ln -s ../bin "$work/root/usr/sbin"
  cp -R "$here/root/." "$work/root/"
  ln -s bin/busybox "$work/root/init"
  # shellcheck disable=SC2086  # a list of words is meant
  copy_modules "$work/packages" "$work/root" "$version" $modules
  # shellcheck disable=SC2086
  copy_modules "$work/packages" "$work/spare" "$version" $spare_modules
  mv "$work/spare/lib/modules/load-order" "$work/root/lib/modules/spare-order"
  cp "$work/spare/lib/modules"/* "$work/root/lib/modules/"
}

main() {
  require_boot_disk_tools
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  trap 'exit 1' INT TERM
  kernel=$(cloud_kernel_package)
  version=${kernel#linux-image-}
  progress "downloading $kernel and busybox"
  download_packages "$work/packages" "$kernel" busybox-static
  progress "packing the initramfs"
  build_root
  pack_initramfs "$work/root" "$work/initrd"
  progress "writing the disk"
  make_boot_disk "$work/disk.raw" "$work/packages/boot/vmlinuz-$version" "$work/initrd" "$command_line"
  qemu-img convert -f raw -O qcow2 "$work/disk.raw" "$out"
}

main
