import { createHash } from "node:crypto";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import pLimit from "p-limit";
import { hasErrorCode } from "../../host/error-code.ts";

/** As many guests of one host have an address of the pool; any more get a random one from libvirt. */
export const poolSize = 256;

/** The file in a guest's directory that says which address it has. */
const fileName = "mac-address";

/**
 * The network cards' addresses of a host's guests: a small pool, each used again once its guest is gone.
 *
 * With a new address for each guest, every job takes a lease of its own, and leases last an hour: a /24 network is used
 * up by 250 jobs, and those that follow wait for an address until their boot deadline. A known address is also served at
 * once, while dnsmasq pings a new one and waits 3 s for an answer, one guest after the other.
 */
export interface MacAddresses {
  /** The address of the guest that owns `directory`: the one it has, else a free one. Null when none is free. */
  take(directory: string): Promise<string | null>;
}

/** The pool of the guests below `guestsDir`. One process uses it: the data directory has a lock. */
export function createMacAddresses(guestsDir: string, ownerId: string): MacAddresses {
  // One after the other, or two guests would find the same address free.
  const oneByOne = pLimit(1);
  return { take: (directory) => oneByOne(takeFree, guestsDir, ownerId, directory) };
}

async function takeFree(guestsDir: string, ownerId: string, directory: string): Promise<string | null> {
  const own = await readMacAddress(directory);
  if (own !== null) return own;
  const guests = await readdir(guestsDir);
  const used = new Set(await Promise.all(guests.map((guest) => readMacAddress(join(guestsDir, guest)))));
  for (let index = 0; index < poolSize; index += 1) {
    const address = poolAddress(ownerId, index);
    if (used.has(address)) continue;
    await writeFile(join(directory, fileName), address);
    return address;
  }
  return null;
}

/** The address of the guest that owns `directory`; null where none is written down. */
export async function readMacAddress(directory: string): Promise<string | null> {
  try {
    return await readFile(join(directory, fileName), "utf8");
  } catch (error) {
    if (hasErrorCode(error, "ENOENT", "ENOTDIR")) return null;
    throw error;
  }
}

/** The pool's address number `index`: locally administered (52 in hex), and another for another installation. */
export function poolAddress(ownerId: string, index: number): string {
  return sharedPrefix(ownerId) + index.toString(16).padStart(2, "0");
}

/** What all addresses of an installation's pool begin with: their first five bytes. */
export function sharedPrefix(ownerId: string): string {
  const owner = createHash("sha256").update(ownerId).digest().subarray(0, 3);
  return [0x52, 0x54, ...owner].map((byte) => `${byte.toString(16).padStart(2, "0")}:`).join("");
}
