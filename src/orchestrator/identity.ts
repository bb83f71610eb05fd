import { createHmac, randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { SolsticeError } from "../core/errors.ts";
import { makeDirectory, passableMode } from "../host/files/make-directory.ts";

/** The identity of this orchestrator. Stored in the data directory, so it persists over restarts. */
export interface HostIdentity {
  /**
   * The name of this host in the store, and the owner in the metadata of guests. Unique for each data
   * directory.
   */
  readonly hostId: string;
  /** The key for one-time tokens; never leaves this host. */
  readonly tokenSecret: Buffer;
}

/** The file of the data directory that holds the host's id. It exists once an orchestrator has run there. */
export const hostIdFileName = "host-id";

/** Reads the identity from `dataDir`, or creates it on the first start. */
export function loadIdentity(dataDir: string): HostIdentity {
  makeDirectory(dataDir, passableMode);
  const shortHostname =
    hostname()
      .split(".")[0]
      ?.replace(/[^A-Za-z0-9-]/g, "") || "host";
  const hostId = readOrCreate(
    join(dataDir, hostIdFileName),
    () => `${shortHostname}-${randomBytes(4).toString("hex")}`,
  );
  const secret = readOrCreate(join(dataDir, "token-secret"), () => randomBytes(32).toString("hex"));
  if (!/^[A-Za-z0-9-]{3,100}$/.test(hostId) || !/^[0-9a-f]{64}$/.test(secret)) {
    throw new SolsticeError(
      "config_invalid",
      `The files host-id and token-secret in ${dataDir} are damaged.`,
      {
        remedy: "Restore the files from a backup: without them, running guests cannot be adopted.",
      },
    );
  }
  return { hostId, tokenSecret: Buffer.from(secret, "hex") };
}

function readOrCreate(path: string, create: () => string): string {
  try {
    // With "wx" only one process creates the file. The data directory is already locked, so no other process
    // reads a partial file.
    writeFileSync(path, `${create()}\n`, { flag: "wx", mode: 0o600, flush: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  return readFileSync(path, "utf8").trim();
}

/**
 * The one-time token of an attempt's seed. Derived, not stored: provisioning repeated after a crash makes the
 * same seed, and the store holds only the token's hash.
 */
export function bootstrapToken(identity: HostIdentity, jobId: string, attempt: number): string {
  return createHmac("sha256", identity.tokenSecret).update(`bootstrap:${jobId}:${attempt}`).digest("hex");
}
