import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

/** A guest's serial line: a device, and both directions of its other end. */
export interface PseudoTerminal {
  /** The path of the guest's end. */
  readonly device: string;
  /** All output so far, as bytes. */
  shown(): Buffer;
  type(text: string): void;
  /**
   * Waits until the text, or the first match of the pattern, appears after `from`; fails after a minute with the output
   * so far. Returns the offset after the match. A pattern matches bytes as latin1.
   */
  until(text: string | RegExp, from?: number): Promise<number>;
  close(): void;
}

/** Node has no pseudo-terminals. This program keeps its far end open, like a serial line that no program has opened. */
const program = `
import os, pty, select, sys
near, far = pty.openpty()
sys.stderr.write(os.ttyname(far) + "\\n")
sys.stderr.flush()
while True:
    ready, _, _ = select.select([near, 0], [], [])
    if near in ready:
        os.write(1, os.read(near, 65536))
    if 0 in ready:
        typed = os.read(0, 65536)
        if not typed:
            break
        os.write(near, typed)
`;

const apiRetryMs = 60_000;

/** Opens a pseudo-terminal; it ends with `close`, or with this process. */
export async function openPseudoTerminal(): Promise<PseudoTerminal> {
  const child = spawn("python3", ["-c", program], { stdio: ["pipe", "pipe", "pipe"] });
  const [name] = await once(child.stderr, "data");
  let shown = Buffer.alloc(0);
  child.stdout.on("data", (bytes: Buffer) => {
    shown = Buffer.concat([shown, bytes]);
  });
  return {
    device: String(name).trim(),
    shown: () => shown,
    type: (text) => void child.stdin.write(text),
    until: (text, from = 0) => untilShown({ child, shown: () => shown }, text, from),
    close: () => void child.kill("SIGKILL"),
  };
}

async function untilShown(
  line: { child: ChildProcess; shown: () => Buffer },
  text: string | RegExp,
  from: number,
): Promise<number> {
  const end = AbortSignal.timeout(apiRetryMs);
  for (;;) {
    const at = endOf(text, line.shown(), from);
    if (at !== null) return at;
    await once(line.child.stdout as NodeJS.ReadableStream, "data", { signal: end }).catch(() => {
      throw new Error(
        `${String(text)} did not appear in the output ${JSON.stringify(line.shown().toString())}`,
      );
    });
  }
}

/** Offset after the first occurrence of the text, or null. */
function endOf(text: string | RegExp, shown: Buffer, from: number): number | null {
  if (typeof text === "string") {
    const at = shown.indexOf(text, from);
    return at === -1 ? null : at + Buffer.byteLength(text);
  }
  const match = text.exec(shown.toString("latin1", from));
  return match === null ? null : from + match.index + match[0].length;
}
