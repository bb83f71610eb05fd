import { SolsticeError } from "../../core/errors.ts";
import type { GuestFile } from "../../core/job/guest.ts";
import { shellQuote } from "./shell-quote.ts";

/** What the script does: puts these files into the guest, and runs one of them, once. */
export interface SeedScript {
  readonly files: readonly GuestFile[];
  /** The file to run with `sh` when all are there. */
  readonly boot: string;
  /** A directory that says "done already": named after the attempt, since an image may have kept another one's. */
  readonly mark: string;
}

/** The line that stands where the script is to set the network up, when it has to. */
export const networkPlace = "# The network is as the guest found it.\n";

/**
 * A script in POSIX sh that does what our #cloud-config asks for, for guests that only know scripts. It carries the files
 * as they are, since no tool that decodes is sure to be on illumos, and counts what arrived. It can run again, also in the
 * middle of itself: SMF repeats a script that failed. Throws `usage` for a file that no here-document can hold.
 */
export function buildSeedScript({ files, boot, mark }: SeedScript): string {
  const end = delimiterFor(files);
  return `#!/bin/sh
# Written by Solstice CI: puts the runner into this guest, and starts it.
: "\${PATH:=/usr/sbin:/usr/bin:/sbin:/bin}"
export PATH
mark=${shellQuote(mark)}
boot=${shellQuote(boot)}

# Whoever looks why a guest does not report finds the answer on its console.
fail() {
  { echo "solstice: $*" >/dev/console; } 2>/dev/null
  echo "solstice: $*" >&2
  exit 1
}

# put PERMISSIONS BYTES PATH <CONTENT: whole or not at all, and never readable for others on the way.
put() {
  mkdir -p "\${3%/*}" || fail "no directory for $3"
  (umask 077 && cat >"$3.new") || fail "cannot write $3"
  [ $(wc -c <"$3.new") -eq "$2" ] || fail "$3 did not arrive whole"
  chmod "$1" "$3.new" && mv -f "$3.new" "$3" || fail "cannot put $3 in place"
}

[ ! -d "$mark" ] || exit 0
${networkPlace}${files.map((file) => putFile(file, end)).join("")}
mkdir "$mark" 2>/dev/null || exit 0
sh "$boot" </dev/null && exit 0
rmdir "$mark"
fail "$boot failed"
`;
}

/** A line that none of the files has. */
function delimiterFor(files: readonly GuestFile[]): string {
  const lines = new Set(files.flatMap(({ content }) => content.split("\n")));
  let end = "SOLSTICE_END";
  while (lines.has(end)) end += "_";
  return end;
}

function putFile({ path, content, permissions }: GuestFile, end: string): string {
  if (content.includes("\0") || (content !== "" && !content.endsWith("\n"))) {
    throw new SolsticeError("usage", `${path} is no text file: a script cannot carry it into a guest.`);
  }
  const words = [permissions, Buffer.byteLength(content), shellQuote(path)].join(" ");
  return `put ${words} <<'${end}'\n${content}${end}\n`;
}
