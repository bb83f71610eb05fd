import { open } from "node:fs/promises";

/** Size limit of one guest's console in bytes, because a guest can write without end. */
export const maxConsoleBytes = 8 * 1024 * 1024;

/** The file of a guest's console. */
export interface ConsoleFile {
  /** True when the file had content before it was opened. */
  readonly hasContent: boolean;
  /** Appends bytes up to the limit; the rest is dropped, and the file notes that once. */
  append(bytes: Buffer): Promise<void>;
  /** Appends a note of the orchestrator. */
  note(text: string): Promise<void>;
  close(): Promise<void>;
}

/** Opens a console's file for appending; only its owner may read it. */
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
      if (size >= maxConsoleBytes) await note("the console exceeded its limit; the rest is not stored");
    },
    close: () => file.close(),
  };
}
