# Shared by the image recipes; sourced, not run. Everything here works on plain files: no root, no loop device, no mount.
# shellcheck shell=sh

syslinux_mbr=/usr/lib/SYSLINUX/mbr.bin
first_sector=2048 # 1 MiB, where partition tools put the first partition
mib=1048576

# Prints a progress line for people. stdout is kept for results.
progress() { printf '    %s\n' "$*" >&2; }

# Ends with a sentence when a program the recipe needs is absent.
require_programs() {
  for program in "$@"; do
    PATH=$PATH:/usr/sbin:/sbin command -v "$program" >/dev/null ||
      { printf 'images: %s is not installed; run scripts/setup-host.sh\n' "$program" >&2 && exit 1; }
  done
}

# Ends with a sentence when something is absent that every recipe needs.
require_boot_disk_tools() {
  require_programs apt-get dpkg-deb depmod cpio mkfs.vfat mcopy syslinux qemu-img
  [ -r "$syslinux_mbr" ] || { printf 'images: %s is missing; run scripts/setup-host.sh\n' "$syslinux_mbr" >&2 && exit 1; }
}

# download_package DIRECTORY PACKAGE...: fetches .deb files and unpacks them into DIRECTORY; installs nothing.
# apt's own sandbox user cannot write into our private directory, which costs it a warning only.
download_packages() {
  directory=$1
  shift
  mkdir -p "$directory/debs"
  (cd "$directory/debs" && apt-get -q -o APT::Sandbox::User=root download "$@" >/dev/null) ||
    { printf 'images: apt-get download %s failed; try apt-get update\n' "$*" >&2 && exit 1; }
  for deb in "$directory/debs"/*.deb; do dpkg-deb -x "$deb" "$directory"; done
  rm -r "$directory/debs"
}

# Prints the name of the newest cloud kernel's package: small, virtio only, built for guests.
cloud_kernel_package() {
  name=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null | awk '$1 == "Depends:" && $2 ~ /^linux-image/ { print $2 }')
  [ -n "$name" ] || { echo 'images: apt knows no linux-image-cloud-amd64; run apt-get update' >&2 && exit 1; }
  echo "$name"
}

# copy_modules FROM_ROOT TO_ROOT KERNEL_VERSION MODULE...: copies modules and what they depend on, and writes
# TO_ROOT/lib/modules/load-order with one path a line, dependencies first. insmod needs no module index at boot then.
copy_modules() {
  from=$1 to=$2 version=$3
  shift 3
  /sbin/depmod -b "$from" "$version"
  mkdir -p "$to/lib/modules"
  for module in "$@"; do
    /sbin/modprobe -d "$from" -S "$version" -a --show-depends "$module"
  done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' | while read -r file; do
    cp "$file" "$to/lib/modules/"
    echo "/lib/modules/${file##*/}"
  done >"$to/lib/modules/load-order"
}

# pack_initramfs DIRECTORY OUT: packs as root-owned whoever builds. Not compressed: unpacking under software
# emulation costs more than reading two megabytes.
pack_initramfs() {
  (cd "$1" && find . | sort | cpio -o -H newc -R 0:0 --quiet) >"$2"
}

# Prints a number as four bytes, little endian, in printf's octal escapes.
little_endian() {
  printf '\\%03o\\%03o\\%03o\\%03o' $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) $(($1 >> 24 & 255))
}

# write_partition DISK INDEX TYPE_OCTAL FIRST_SECTOR SECTORS ACTIVE_OCTAL: one of the four entries of the MBR.
# The CHS fields say "use LBA". Sixteen bytes by hand spare a partitioning tool.
write_partition() {
  # shellcheck disable=SC2059  # the escapes are meant for printf
  printf "\\$6\\376\\377\\377\\$3\\376\\377\\377$(little_endian "$4")$(little_endian "$5")" |
    dd of="$1" bs=1 seek=$((446 + 16 * $2)) conv=notrunc status=none
}

# make_boot_disk OUT KERNEL INITRAMFS COMMAND_LINE [ROOT_FILE_SYSTEM]
# Writes a raw disk that a BIOS starts: MBR, a FAT partition with syslinux, kernel and initramfs, and, when given,
# ROOT_FILE_SYSTEM as the second and last partition (so that growpart can grow it).
make_boot_disk() {
  disk=$1 kernel_file=$2 initramfs=$3 arguments=$4 root_file=${5:-}
  boot_mib=$((($(stat -c %s "$kernel_file") + $(stat -c %s "$initramfs")) / mib + 4))
  [ "$boot_mib" -ge 9 ] || boot_mib=9 # FAT16 wants more than 4085 clusters
  boot_sectors=$((boot_mib * 2048))
  rm -f "$disk"
  truncate -s $((mib + boot_mib * mib)) "$disk"
  PATH=$PATH:/usr/sbin:/sbin mkfs.vfat -F 16 -s 4 -h "$first_sector" -n BOOT --offset "$first_sector" "$disk" $((boot_mib * 1024)) >/dev/null
  syslinux_config=$(mktemp)
  # No PROMPT and no menu: syslinux starts DEFAULT at once.
  printf 'DEFAULT linux\nLABEL linux\n  KERNEL /vmlinuz\n  INITRD /initrd\n  APPEND %s\n' "$arguments" >"$syslinux_config"
  mcopy -i "$disk@@$mib" "$kernel_file" ::/vmlinuz
  mcopy -i "$disk@@$mib" "$initramfs" ::/initrd
  mcopy -i "$disk@@$mib" "$syslinux_config" ::/syslinux.cfg
  rm -f "$syslinux_config"
  syslinux --offset "$mib" --install "$disk"
  dd if="$syslinux_mbr" of="$disk" bs=440 count=1 conv=notrunc status=none
  write_partition "$disk" 0 016 "$first_sector" "$boot_sectors" 200
  if [ -n "$root_file" ]; then
    write_partition "$disk" 1 203 $((first_sector + boot_sectors)) $(($(stat -c %s "$root_file") / 512)) 000
    dd if="$root_file" of="$disk" bs=1M seek=$((1 + boot_mib)) conv=notrunc,sparse status=none
    truncate -s $(((1 + boot_mib) * mib + $(stat -c %s "$root_file"))) "$disk"
  fi
  printf '\125\252' | dd of="$disk" bs=1 seek=510 conv=notrunc status=none
}
