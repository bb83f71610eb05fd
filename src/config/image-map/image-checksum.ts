import type { ChecksumAlgorithm, ImageChecksum } from "../../core/image-map/image-map.ts";
import { isUrl, sourceProblem } from "./image-paths.ts";

const digits: Readonly<Record<ChecksumAlgorithm, number>> = { sha256: 64, sha512: 128 };

/** A description of a valid `checksum` that can follow the word "needs". */
export const checksumRule =
  "sha256: or sha512: and that many hexadecimal digits (64 or 128), in quotes; or the URL or path of a file of checksums";

/** A description of a valid `checksum`, or null if `text` is valid. */
export function checksumProblem(text: string): string | null {
  if (readDigest(text) !== null) return null;
  const looksLikeDigest = /^(\w+[:=-])?[0-9a-f]{16,}$/i.test(text) || /^(md5|sha\w*)[:=]/i.test(text);
  if (looksLikeDigest) return checksumRule;
  return sourceProblem(text) === null ? null : checksumRule;
}

/** A description of a valid `sha256` or `sha512`, or null if `text` is valid. */
export function digestProblem(text: string, algorithm: ChecksumAlgorithm): string | null {
  if (readDigest(text)?.algorithm === algorithm) return null;
  return `the ${digits[algorithm]} hexadecimal digits of a ${algorithm === "sha256" ? "SHA-256" : "SHA-512"} digest, in quotes`;
}

/** Parses a digest, or the place of a file of checksums. Without a prefix, the number of digits gives the digest's kind. */
export function readChecksum(text: string, fromMap: (path: string) => string): ImageChecksum {
  return readDigest(text) ?? { kind: "list", location: isUrl(text) ? text : fromMap(text) };
}

function readDigest(text: string): (ImageChecksum & { kind: "digest" }) | null {
  const [, prefix, hex = ""] = /^(?:(sha256|sha512):)?([0-9a-f]+)$/i.exec(text) ?? [];
  const algorithm = (["sha256", "sha512"] as const).find((one) => digits[one] === hex.length);
  if (algorithm === undefined || (prefix !== undefined && prefix.toLowerCase() !== algorithm)) return null;
  return { kind: "digest", algorithm, hex: hex.toLowerCase() };
}
