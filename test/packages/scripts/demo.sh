#!/bin/sh
# The demo of the installed tarball with a real guest, run by clean-root.sh: in a separate network namespace, with a
# separate libvirtd, whose sockets, guests and network the host's libvirtd does not see.
#
# Usage: demo.sh TARBALL
set -eu

if [ "${1:-}" != apart ]; then
  npm install --global --prefer-offline --no-audit --no-fund --no-update-notifier --loglevel=error "$1" >&2
  exec unshare --mount --net sh "$0" apart
fi

ip link set lo up
# The devices of the new network namespace, without the host's cgroups.
umount --recursive /sys
mount -t sysfs sysfs /sys
# Directories that libvirtd needs and that clean-root.sh emptied.
mkdir -p /run/lock /run/libvirt /var/lib/libvirt/qemu /var/lib/libvirt/dnsmasq /var/lib/libvirt/images /var/cache/libvirt/qemu
chown -R libvirt-qemu:kvm /var/lib/libvirt/qemu /var/cache/libvirt/qemu
[ ! -e /run/libvirt/libvirt-sock ] || { echo "the host's libvirtd is in reach" >&2; exit 1; }
cd /
solstice demo 2>&1
echo "domains left: $(virsh -q -c qemu:///system list --all --name | tr -d '\n')"
echo "files left: $(find /var/tmp /tmp -maxdepth 1 -name 'solstice-demo-*')"
