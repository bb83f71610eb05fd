import { open } from "node:fs/promises";

/** The most that is kept of one guest's console, in bytes: a guest can write to it without end. */
export const maxConsoleBytes = 8 * 1024 * 1024;

/** A guest's console on its way to disk. */
export interface ConsoleFile {
  /** Whether it had something before it was opened. */
  readonly hasContent: boolean;
  /** Adds what fits; the rest is dropped, which the file says once. */
  append(bytes: Buffer): Promise<void>;
  /** Adds a line of ours. */
  note(text: string): Promise<void>;
  close(): Promise<void>;
}

/** Opens a console's file to add to it; only its owner may read it. */
export async function openConsoleFile(path: string): Promise<ConsoleFile> {
  const file = await open(path, "a", 0o600);
  let { size } = await file.stat();
  const write = async (bytes: Buffer) => {
    await file.appendFile(bytes);
    size += bytes.length;
  };
  const note = (text: string) => write(Buffer.from(`\r\n[solstice: ${text}]\r\n`));
  return {
    hasContent: size > 0,
    note,
    async append(bytes) {
      if (size >= maxConsoleBytes) return;
      await write(bytes.subarray(0, maxConsoleBytes - size));
      if (size >= maxConsoleBytes) await note("the guest said more than is kept");
    },
    close: () => file.close(),
  };
}
