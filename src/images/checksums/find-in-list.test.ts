import assert from "node:assert/strict";
import { test } from "node:test";
import { findInList } from "./find-in-list.ts";

const short = (digit: string) => digit.repeat(64);
const long = (digit: string) => digit.repeat(128);
const found = (hex: string) => ({ kind: "found", algorithm: hex.length === 64 ? "sha256" : "sha512", hex });

const fedora = `-----BEGIN PGP SIGNED MESSAGE-----
Hash: SHA256

# Fedora-Cloud-Base-Generic-43-1.6.x86_64.qcow2: 583532544 bytes
SHA256 (Fedora-Cloud-Base-Generic-43-1.6.x86_64.qcow2) = ${short("a")}
# Fedora-Cloud-Base-UEFI-UKI-43-1.6.x86_64.qcow2: 610009088 bytes
SHA256 (Fedora-Cloud-Base-UEFI-UKI-43-1.6.x86_64.qcow2) = ${short("b")}
-----BEGIN PGP SIGNATURE-----

SHA256 (Fedora-Cloud-Base-Generic-43-1.6.x86_64.qcow2) = ${short("c")}
-----END PGP SIGNATURE-----
`;

for (const [publisher, text, name, hex] of [
  ["Debian", `${long("a")}  debian-12.json\n${long("b")}  debian-12.qcow2\n`, "debian-12.qcow2", long("b")],
  ["Ubuntu", `${short("a")} *jammy.img\n${short("b")} *jammy.squashfs\n`, "jammy.img", short("a")],
  ["Fedora", fedora, "Fedora-Cloud-Base-Generic-43-1.6.x86_64.qcow2", short("a")],
  [
    "FreeBSD",
    `SHA512 (FreeBSD-14.3.qcow2.xz) = ${long("a")}\nSHA512 (FreeBSD-14.3.raw.xz) = ${long("b")}\n`,
    "FreeBSD-14.3.raw.xz",
    long("b"),
  ],
  ["Alpine", `${long("a")}  nocloud_alpine-3.22.qcow2\n`, "nocloud_alpine-3.22.qcow2", long("a")],
  ["Alpine, the digest alone", `${long("a")}\n`, "nocloud_alpine-3.22.qcow2", long("a")],
  [
    "OmniOS",
    `SHA256 (/data/omnios-r151054.cloud.raw.zst) = ${short("a")}`,
    "omnios-r151054.cloud.raw.zst",
    short("a"),
  ],
  [
    "OpenIndiana",
    `${short("a")}  ./OI-hipster-cloudimage.img.zst\n`,
    "OI-hipster-cloudimage.img.zst",
    short("a"),
  ],
  ["openssl", `SHA2-256(disk.img)= ${short("A")}\nSHA2-256(other)= ${short("b")}`, "disk.img", short("a")],
  ["Windows", `\r\n${short("A")} *folder\\disk.img\r\n${short("b")} *x\r\n`, "disk.img", short("a")],
] as const) {
  test(`the form of ${publisher}`, () => assert.deepEqual(findInList(text, name), found(hex)));
}

test("the stronger of two digests is used; others are skipped", () => {
  const text = `MD5 (a) = ${"d".repeat(32)}\nSHA256 (a) = ${short("a")}\nSHA512 (a) = ${long("b")}\n${"e".repeat(40)}  a\n`;
  assert.deepEqual(findInList(text, "a"), found(long("b")));
  assert.deepEqual(findInList(`SHA512/256 (a) = ${short("a")}\nSHA384 (b) = ${"a".repeat(96)}`, "a"), {
    kind: "absent",
    names: [],
  });
});

test("a file without an entry is absent, also when another name ends in its name; two differing entries are ambiguous", () => {
  const list = `${short("a")}  my-disk.img\n${short("b")}  disk.img.xz\n`;
  assert.deepEqual(findInList(list, "disk.img"), { kind: "absent", names: ["my-disk.img", "disk.img.xz"] });
  const folders = `${short("a")}  x/disk.img\n${short("b")}  y/disk.img\n${short("c")}  z\n`;
  assert.deepEqual(findInList(folders, "disk.img"), { kind: "ambiguous" });
  assert.deepEqual(findInList(`${folders}${short("d")}  ./disk.img\n`, "disk.img"), found(short("d")));
  assert.deepEqual(findInList("<html>not found</html>", "disk.img"), { kind: "absent", names: [] });
});

test("a single entry applies to the image, whatever its name", () => {
  assert.deepEqual(
    findInList(`${short("a")}  debian-12-20260101.qcow2\n`, "debian-12-latest.qcow2"),
    found(short("a")),
  );
});
