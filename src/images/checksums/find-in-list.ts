import type { ChecksumAlgorithm } from "../../core/image-map/image-map.ts";

/** A digest that a file of checksums gives for a file. */
export interface ListedDigest {
  readonly algorithm: ChecksumAlgorithm;
  readonly hex: string;
}

interface Entry extends ListedDigest {
  /** Null where a line has a digest only. */
  readonly name: string | null;
}

/** What a list says about a file; `names` are those that it has digests of, for a message. */
export type ListAnswer =
  | ({ readonly kind: "found" } & ListedDigest)
  | { readonly kind: "absent"; readonly names: readonly string[] }
  /** Several of its lines fit, and differ. */
  | { readonly kind: "ambiguous" };

const lineCharsMax = 8192;

/** `SHA512 (name) = digits`, as BSD, Fedora and openssl write it. */
const taggedLine = /^SHA-?(?:2-)?(256|512) ?\((.+)\) ?= ?([0-9a-f]+)$/i;

/** `digits  name`, as sha256sum writes it; `*` before the name means that it was read as binary. A name may be missing. */
const plainLine = /^\\?([0-9a-f]{64}|[0-9a-f]{128})(?:[ \t]+\*?(.+))?$/i;

/**
 * Finds the digest of `fileName` in a file of checksums in any of the forms that publishers use: coreutils' and BSD's lines,
 * with comments, inside a PGP signed message (whose signature is not verified), or a digest alone. A list of one entry is
 * about the file whatever name it has. The strongest digest wins. Takes time linear in the text.
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

/** A name with its folders is exact; without them it is what an entry's name ends in. */
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
    // In a signed message a line that begins with a dash has "- " before it (RFC 9580, 7.2).
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
