import { SolsticeError } from "../../core/errors.ts";
import type { GuestFile } from "../../core/job/guest.ts";
import { shellQuote } from "./shell-quote.ts";

/** Content of the script: it writes these files in the guest, and runs one of them, once. */
export interface SeedScript {
  readonly files: readonly GuestFile[];
  /** The file to run with `sh` after all files are written. */
  readonly boot: string;
  /**
   * A directory that marks the work as done: named after the attempt, because an image may contain another attempt's
   * mark.
   */
  readonly mark: string;
}

/** Placeholder line for the commands that set up the network, if needed. */
export const networkPlace = "# The network is as the guest found it.\n";

/**
 * Builds a POSIX sh script that does the same as the #cloud-config, for guests that only support scripts. It contains
 * the files unencoded, because illumos may have no tool for decoding, and checks the sizes of the written files. It can
 * run again, also after an interruption: SMF repeats a failed script. Throws `usage` for a file that a here-document
 * cannot hold.
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
  [ $(wc -c <"$3.new") -eq "$2" ] || fail "$3 arrived incomplete"
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

/** Returns a line that is in none of the files. */
function delimiterFor(files: readonly GuestFile[]): string {
  const lines = new Set(files.flatMap(({ content }) => content.split("\n")));
  let end = "SOLSTICE_END";
  while (lines.has(end)) end += "_";
  return end;
}

function putFile({ path, content, permissions }: GuestFile, end: string): string {
  if (content.includes("\0") || (content !== "" && !content.endsWith("\n"))) {
    throw new SolsticeError("usage", `${path} is not a text file: a script cannot write it in a guest.`);
  }
  const words = [permissions, Buffer.byteLength(content), shellQuote(path)].join(" ");
  return `put ${words} <<'${end}'\n${content}${end}\n`;
}
