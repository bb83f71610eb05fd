import { readFile } from "node:fs/promises";
import { hasErrorCode } from "../../../host/error-code.ts";
import { maxSlots } from "./slots.ts";

/** Reads the slot in a guest's file; null when the file is missing or incomplete. */
export async function readSlot(path: string): Promise<number | null> {
  try {
    const text = await readFile(path, "utf8");
    const slot = /^(\d{1,4})\n$/.exec(text)?.[1];
    return slot === undefined || Number(slot) >= maxSlots ? null : Number(slot);
  } catch (error) {
    if (hasErrorCode(error, "ENOENT", "ENOTDIR")) return null;
    throw error;
  }
}
