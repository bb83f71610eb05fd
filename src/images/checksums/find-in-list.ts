import type { ChecksumAlgorithm } from "../../core/image-map/image-map.ts";

/** A digest from a checksum file. */
export interface ListedDigest {
  readonly algorithm: ChecksumAlgorithm;
  readonly hex: string;
}

interface Entry extends ListedDigest {
  /** Null for a line with a digest only. */
  readonly name: string | null;
}

/** Result of the search for a file's digest; `names` are the files with digests, for a message. */
export type ListAnswer =
  | ({ readonly kind: "found" } & ListedDigest)
  | { readonly kind: "absent"; readonly names: readonly string[] }
  /** Several lines match, with different digests. */
  | { readonly kind: "ambiguous" };

const lineCharsMax = 8192;

/** Matches `SHA512 (name) = digits`, the format of BSD, Fedora and openssl. */
const taggedLine = /^SHA-?(?:2-)?(256|512) ?\((.+)\) ?= ?([0-9a-f]+)$/i;

/** Matches `digits  name`, the format of sha256sum; `*` before the name marks binary mode. The name may be missing. */
const plainLine = /^\\?([0-9a-f]{64}|[0-9a-f]{128})(?:[ \t]+\*?(.+))?$/i;

/**
 * Finds the digest of `fileName` in a checksum file in any format that publishers use: coreutils' and BSD's lines, with
 * comments, inside a PGP signed message (whose signature is not verified), or a digest alone. A single entry applies to
 * the file whatever its name. The strongest digest wins. Takes time linear in the text.
 */
export function findInList(text: string, fileName: string): ListAnswer {
  const entries = readEntries(text);
  const named = entriesOf(entries, fileName);
  const isOfOneFile = new Set(entries.map(({ name }) => name)).size === 1;
  const fitting = named.length === 0 && isOfOneFile ? entries : named;
  for (const algorithm of ["sha512", "sha256"] as const) {
    const digests = new Set(fitting.filter((entry) => entry.algorithm === algorithm).map(({ hex }) => hex));
    if (digests.size > 1) return { kind: "ambiguous" };
    for (const hex of digests) return { kind: "found", algorithm, hex };
  }
  return { kind: "absent", names: [...new Set(entries.flatMap(({ name }) => name ?? []))] };
}

/** Entries for a file. A name with folders must match exactly; a bare name also matches the end of an entry's path. */
function entriesOf(entries: readonly Entry[], fileName: string): Entry[] {
  const exact = entries.filter(({ name }) => name?.replace(/^\.\//, "") === fileName);
  return exact.length > 0
    ? exact
    : entries.filter(({ name }) => name !== null && baseName(name) === fileName);
}

function readEntries(text: string): Entry[] {
  const entries: Entry[] = [];
  for (const line of text.split(/\r\n|[\r\n]/)) {
    if (line.startsWith("-----BEGIN PGP SIGNATURE")) break;
    if (line.length > lineCharsMax) continue;
    // A signed message prefixes lines that begin with a dash with "- " (RFC 9580, 7.2).
    const entry = readLine(line.replace(/^- /, "").trim());
    if (entry !== null) entries.push(entry);
  }
  return entries;
}

function readLine(line: string): Entry | null {
  const [, bits, taggedName, taggedDigits = ""] = taggedLine.exec(line) ?? [];
  if (bits !== undefined && taggedDigits.length === Number(bits) / 4) {
    return {
      algorithm: bits === "512" ? "sha512" : "sha256",
      hex: taggedDigits.toLowerCase(),
      name: taggedName ?? null,
    };
  }
  const [, digits, name] = plainLine.exec(line) ?? [];
  if (digits === undefined) return null;
  return {
    algorithm: digits.length === 128 ? "sha512" : "sha256",
    hex: digits.toLowerCase(),
    name: name ?? null,
  };
}

function baseName(name: string): string {
  return name.slice(Math.max(name.lastIndexOf("/"), name.lastIndexOf("\\")) + 1);
}
