/** Which Debian package brings each program that this project starts. */
const debianPackages: Readonly<Record<string, string>> = {
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

/** The Debian package that brings `program`; its own name where the table has none. */
export function packageOf(program: string): string {
  return debianPackages[program] ?? program;
}
