import assert from "node:assert/strict";
import { test } from "node:test";
import { parseImageMap } from "./parse-image-map.ts";

const short = "aB".repeat(32);
const long = "cD".repeat(64);
const places = { fileName: "/maps/images.yaml", dataDir: "/data" };

function checksumOf(line: string) {
  const text = `default_label: a\nimages:\n  a: { source: "https://h.example/x.qcow2", ${line} }\n`;
  return parseImageMap(text, places).images.get("a")?.checksum;
}

const digestOf = (hex: string) => ({
  kind: "digest",
  algorithm: hex.length === 64 ? "sha256" : "sha512",
  hex: hex.toLowerCase(),
});

test("a checksum is a digest with or without its kind, or the place of a list", () => {
  for (const [line, checksum] of [
    [`checksum: "sha256:${short}"`, digestOf(short)],
    [`checksum: "SHA512:${long}"`, digestOf(long)],
    [`checksum: "${short}"`, digestOf(short)],
    [`checksum: "${long}"`, digestOf(long)],
    [`sha256: "${short}"`, digestOf(short)],
    [`sha256: "sha256:${short}"`, digestOf(short)],
    [`sha512: "${long}"`, digestOf(long)],
    [
      'checksum: "https://h.example/SHA512SUMS?x=1"',
      { kind: "list", location: "https://h.example/SHA512SUMS?x=1" },
    ],
    ["checksum: file:///srv/SHA256SUMS", { kind: "list", location: "file:///srv/SHA256SUMS" }],
    ["checksum: sums/CHECKSUM.SHA512-14", { kind: "list", location: "/maps/sums/CHECKSUM.SHA512-14" }],
  ] as const) {
    assert.deepEqual(checksumOf(line), checksum, line);
  }
});

test("a checksum of another kind or length, or a second checksum, is refused with the valid forms", () => {
  for (const [line, problem] of [
    [`checksum: "sha256:${long}"`, /checksum is .*needs sha256: or sha512:/],
    [`checksum: "md5:${"a".repeat(32)}"`, /needs sha256: or sha512:/],
    [`checksum: "${"a".repeat(40)}"`, /needs sha256: or sha512:/],
    [`checksum: "sha1=${"a".repeat(40)}"`, /needs sha256: or sha512:/],
    ['checksum: "ftp://h.example/SUMS"', /or the URL or path of a file of checksums/],
    ["checksum: 1234", /needs sha256: or sha512:.*in quotes/],
    [`sha512: "${short}"`, /sha512 is .*needs the 128 hexadecimal digits of a SHA-512/],
    [`sha256: "${short}", checksum: SUMS`, /has checksum and sha256; keep one of them/],
  ] as const) {
    assert.throws(() => checksumOf(line), problem, line);
  }
});

test("a map with a byte order mark and Windows line ends is accepted", () => {
  const text = `\ufeffdefault_label: a\r\nimages:\r\n  a:\r\n    source: x.img\r\n    sha256: "${short}"\r\n`;
  assert.deepEqual(parseImageMap(text, places).images.get("a")?.checksum, digestOf(short));
});
