#!/bin/sh
# Runs a command as root in a separate root directory, in its own mount and process namespaces: the system of this
# machine below a layer in memory that takes all writes, without the checkout, and with empty directories where an
# installation, a user or a daemon would have left files. All processes end with the command.
#
# Usage: clean-root.sh [--hide PATH] [--bind FROM:TO] [--copy FILE:TO] ... -- COMMAND [ARGUMENT ...]
set -eu

# Directories that are empty in the new root.
emptied="/root /home /opt /srv /tmp /var/tmp /run /var/lib/libvirt /var/cache/libvirt"

# Files that an installation of Solstice would have left: they are removed in the new root.
removed="/etc/solstice /var/lib/solstice"

enter() {
  # Every Debian has /mnt, and this mount is visible in this namespace only.
  layers=/mnt
  mount -t tmpfs -o mode=0755 layers "$layers"
  mkdir "$layers/upper" "$layers/work" "$layers/root"
  root=$layers/root
  mount -t overlay -o "lowerdir=/,upperdir=$layers/upper,workdir=$layers/work" root "$root"
  for directory in dev sys; do mount --rbind "/$directory" "$root/$directory"; done
  mount -t proc proc "$root/proc"
  for directory in $emptied; do hide "$root$directory"; done
  for path in $removed; do rm -rf "${root:?}$path"; done
  # Without this, a second libvirtd would manage the guests of this machine, which other tests may be using.
  rm -f "$root"/etc/libvirt/qemu/*.xml
  chmod 1777 "$root/tmp" "$root/var/tmp"
}

hide() {
  mkdir -p "$1"
  mount -t tmpfs -o mode=0755 empty "$1"
}

if [ "${CLEAN_ROOT_INSIDE:-}" != yes ]; then
  CLEAN_ROOT_INSIDE=yes exec unshare --mount --pid --fork --kill-child "$0" "$@"
fi
unset CLEAN_ROOT_INSIDE
enter
while [ $# -gt 0 ]; do
  case $1 in
    --hide) hide "$root$2" ;;
    --bind)
      mkdir -p "$root${2#*:}"
      mount --bind "${2%%:*}" "$root${2#*:}"
      ;;
    --copy) cp "${2%%:*}" "$root${2#*:}" ;;
    --) break ;;
    *)
      echo "clean-root.sh: unknown option $1" >&2
      exit 2
      ;;
  esac
  shift 2
done
shift
cd "$root"
# Not chroot: libvirt mounts a /dev for each guest, which needs the root of its namespace as root.
mkdir -p mnt/outside
pivot_root . mnt/outside
cd /
umount --lazy /mnt/outside
exec "$@"
