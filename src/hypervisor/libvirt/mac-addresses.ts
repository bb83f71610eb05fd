import { createHash } from "node:crypto";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import pLimit from "p-limit";
import { hasErrorCode } from "../../host/error-code.ts";

/** Number of addresses in the pool of a host; a guest without a free one gets a random address from libvirt. */
export const poolSize = 256;

/** File in a guest's directory with its address. */
const fileName = "mac-address";

/**
 * The network cards' addresses of a host's guests: a small pool, each reused after its guest is removed.
 *
 * With a new address for each guest, every job takes a lease of its own, and leases last an hour: a /24 network is used
 * up by 250 jobs, and later jobs wait for an address until their boot deadline. A known address is also served at once,
 * while dnsmasq pings a new one and waits 3 s for an answer, one guest after the other.
 */
export interface MacAddresses {
  /**
   * Returns the address of the guest that owns `directory`: its present one, else a free one. Null when all are in use.
   */
  take(directory: string): Promise<string | null>;
}

/** The pool of the guests below `guestsDir`. Only one process uses it: the data directory has a lock. */
export function createMacAddresses(guestsDir: string, ownerId: string): MacAddresses {
  // One call at a time; otherwise two guests could get the same free address.
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

/** Returns the address of the guest that owns `directory`; null when none is recorded. */
export async function readMacAddress(directory: string): Promise<string | null> {
  try {
    return await readFile(join(directory, fileName), "utf8");
  } catch (error) {
    if (hasErrorCode(error, "ENOENT", "ENOTDIR")) return null;
    throw error;
  }
}

/** Returns address number `index` of the pool: locally administered (52 in hex), and different for each installation. */
export function poolAddress(ownerId: string, index: number): string {
  return sharedPrefix(ownerId) + index.toString(16).padStart(2, "0");
}

/** Returns the common first five bytes of all addresses of an installation's pool. */
export function sharedPrefix(ownerId: string): string {
  const owner = createHash("sha256").update(ownerId).digest().subarray(0, 3);
  return [0x52, 0x54, ...owner].map((byte) => `${byte.toString(16).padStart(2, "0")}:`).join("");
}
