type Packages = Readonly<Record<string, string>>;

/** Debian package of each program that this project starts. */
const debianPackages: Packages = {
  bridge: "iproute2",
  fuser: "psmisc",
  genisoimage: "genisoimage",
  git: "git",
  libvirtd: "libvirt-daemon-system",
  mkisofs: "genisoimage",
  nft: "nftables",
  "qemu-img": "qemu-utils",
  "qemu-system-x86_64": "qemu-system-x86",
  setpriv: "util-linux",
  virsh: "libvirt-clients",
  xorriso: "xorriso",
  xz: "xz-utils",
  zstd: "zstd",
};

/**
 * OmniOS package of each program, from the manifests of illumos-gate, omnios-build and omnios-extra; packages named
 * `ooce/` come from the publisher extra.omnios.
 */
const omniosPackages: Packages = {
  dd: "SUNWcs",
  dladm: "SUNWcs",
  genisoimage: "media/cdrtools",
  git: "developer/versioning/git",
  ipadm: "SUNWcs",
  ipf: "network/ipfilter",
  ipfstat: "network/ipfilter",
  ipnat: "network/ipfilter",
  mkisofs: "media/cdrtools",
  node: "ooce/runtime/node-24",
  "qemu-img": "ooce/util/qemu-img",
  xorriso: "media/cdrtools",
  xz: "compress/xz",
  zfs: "system/file-system/zfs",
  zoneadm: "system/zones",
  zonecfg: "system/zones",
  zpool: "system/file-system/zfs",
  zstd: "compress/zstd",
};

/** Returns the command that installs `program` on this host: apt-get, or pkg on illumos (OmniOS). */
export function installCommand(program: string, platform: NodeJS.Platform = process.platform): string {
  if (platform === "sunos") return `pkg install ${omniosPackages[program] ?? program}`;
  return `apt-get install -y ${debianPackages[program] ?? program}`;
}
