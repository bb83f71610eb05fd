#!/bin/sh
# Runs on the host as mmdebstrap's last hook: makes the installed Debian a guest, then writes it as a file system.
# Usage: customize.sh ROOT, with SOLSTICE_* from build.sh in the environment.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$1

# Units that a machine thrown away after one job has no use for. Each costs 20 to 300 ms under emulation.
masked_units="
  apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer
  systemd-tmpfiles-clean.timer e2scrub_reap.service
  getty.target getty@.service serial-getty@.service console-getty.service systemd-ask-password-wall.path
  systemd-ask-password-console.path systemd-random-seed.service systemd-update-utmp.service
  systemd-update-utmp-runlevel.service systemd-machine-id-commit.service systemd-journal-flush.service
  systemd-remount-fs.service systemd-fsck-root.service systemd-binfmt.service systemd-pstore.service
  systemd-boot-system-token.service systemd-hwdb-update.service systemd-sysusers.service systemd-firstboot.service
  systemd-journal-catalog-update.service systemd-update-done.service systemd-logind.service
  systemd-user-sessions.service systemd-repart.service systemd-pcrphase.service systemd-pcrphase-sysinit.service
  proc-sys-fs-binfmt_misc.automount sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount
  dev-hugepages.mount dev-mqueue.mount sys-fs-fuse-connections.mount modprobe@.service kmod-static-nodes.service
  networking.service ifupdown-wait-online.service cloud-init-hotplugd.socket cloud-init-local.service
  systemd-networkd.service systemd-networkd.socket systemd-networkd-wait-online.service
  systemd-network-generator.service"
# Generators run before the first unit. What they would find is known here.
masked_generators="
  systemd-cryptsetup-generator systemd-debug-generator systemd-fstab-generator systemd-getty-generator
  systemd-gpt-auto-generator systemd-hibernate-resume-generator systemd-integritysetup-generator
  systemd-rc-local-generator systemd-run-generator systemd-system-update-generator systemd-sysv-generator
  systemd-veritysetup-generator systemd-bless-boot-generator cloud-init-generator"

mask() {
  mkdir -p "$root/etc/systemd/system-generators"
  for unit in $masked_units; do ln -sf /dev/null "$root/etc/systemd/system/$unit"; done
  for generator in $masked_generators; do ln -sf /dev/null "$root/etc/systemd/system-generators/$generator"; done
}

enable_units() {
  chroot "$root" systemctl -q enable cloud-init.service grow-root.service acpid.service
  chroot "$root" systemctl -q set-default multi-user.target
  # What cloud-init's generator would do after a search for a seed: here there always is one.
  mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
  ln -sf /lib/systemd/system/cloud-init.target "$root/etc/systemd/system/multi-user.target.wants/cloud-init.target"
}

install_kernel_modules() {
  mkdir -p "$root/lib/modules"
  cp -a "$SOLSTICE_PACKAGES/lib/modules/$SOLSTICE_VERSION" "$root/lib/modules/"
  chroot "$root" depmod "$SOLSTICE_VERSION"
}

# Python writes what it compiled beside the source only when first run, and each guest is run only once.
compile_python() {
  chroot "$root" python3 -m compileall -q -j 0 /usr/lib/python3/dist-packages /usr/lib/python3.11 /usr/lib/solstice >/dev/null 2>&1 || true
}

remove_identity() {
  : >"$root/etc/machine-id"
  rm -f "$root/var/lib/dbus/machine-id" "$root/etc/hostname" "$root"/etc/ssh/ssh_host_*
  chroot "$root" passwd -q -l root
}

remove_caches() {
  rm -rf "$root"/var/cache/apt/*.bin "$root"/var/lib/apt/lists/* "$root"/var/log/*.log "$root"/var/log/apt "$root"/usr/share/locale/*
}

# mmdebstrap has /proc, /sys and devices mounted in the root. They are left out in a mount namespace of our own.
write_file_system() {
  export root
  # shellcheck disable=SC2016  # the inner shell expands
  PATH=$PATH:/usr/sbin:/sbin unshare --mount sh -eu -c '
    awk -v root="$root/" "index(\$5, root) == 1 { print \$5 }" /proc/self/mountinfo | sort -r | xargs -r umount
    rm -f "$SOLSTICE_ROOT_FILE"
    mke2fs -q -t ext4 -O "^has_journal,^metadata_csum,uninit_bg,^huge_file" -m 0 -L root -d "$root" \
      "$SOLSTICE_ROOT_FILE" "$SOLSTICE_ROOT_SIZE"'
}

main() {
  install_kernel_modules
  rm -f "$root"/etc/cloud/cloud.cfg.d/*
  cp -R --preserve=mode "$here/root/." "$root/"
  cp "$SOLSTICE_PACKAGES/bin/busybox" "$root/usr/lib/solstice/busybox"
  ln -sf /run/resolv.conf "$root/etc/resolv.conf"
  mask
  enable_units
  remove_identity
  remove_caches
  compile_python
  write_file_system
}

main
