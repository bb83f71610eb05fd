import { createHmac, randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { SolsticeError } from "../core/errors.ts";
import { makeDirectory, passableMode } from "../host/files/make-directory.ts";

/** Who this orchestrator is. Kept in the data directory, so it outlives every restart. */
export interface HostIdentity {
  /** Names this host in the store, and owns guests in their metadata. Unique for each data directory. */
  readonly hostId: string;
  /** Makes one-time tokens; never leaves this host. */
  readonly tokenSecret: Buffer;
}

/** The file of the data directory that holds the host's id: where it is, an orchestrator has run. */
export const hostIdFileName = "host-id";

/** Reads the identity from `dataDir`, or makes it on the first start. */
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
        remedy: "Restore them from a backup; without them, guests that run now cannot be adopted.",
      },
    );
  }
  return { hostId, tokenSecret: Buffer.from(secret, "hex") };
}

function readOrCreate(path: string, create: () => string): string {
  try {
    // "wx" lets only one process create it; the data directory's lock is taken before, so nobody reads a half of it.
    writeFileSync(path, `${create()}\n`, { flag: "wx", mode: 0o600, flush: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  return readFileSync(path, "utf8").trim();
}

/**
 * The one-time token of an attempt's seed. Derived, not stored: a provisioning that is repeated after a crash makes the
 * same seed again, and the store holds only the token's hash.
 */
export function bootstrapToken(identity: HostIdentity, jobId: string, attempt: number): string {
  return createHmac("sha256", identity.tokenSecret).update(`bootstrap:${jobId}:${attempt}`).digest("hex");
}
