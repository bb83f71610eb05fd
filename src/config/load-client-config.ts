import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { withoutTrailing } from "../core/text/text-ends.ts";
import { defaultDataDir } from "./data-dir.ts";
import { invalid } from "./load-orchestrator-config.ts";
import { clientOptions } from "./options/options.ts";
import { type Environment, givenText, type RawFlags, readOptions } from "./options/read-options.ts";

/** A command's access to the API. */
export interface ClientConfig {
  /** Null: the data directory was named, and has no note of a running orchestrator. */
  readonly apiUrl: string | null;
  readonly apiToken: string | null;
  readonly dataDir: string;
  /** The id of the host that must answer, if the address is from an orchestrator's note; else null. */
  readonly hostId: string | null;
  /** The flag or variable that named the API, such as `SOLSTICE_API_URL`; else null. */
  readonly apiUrlFrom: string | null;
  /** The flag or variable that named the data directory; null for the default directory. */
  readonly dataDirFrom: string | null;
}

/** The default URL of the API. */
export const defaultApiUrl = "http://127.0.0.1:7410";

/** The name of a running orchestrator's note: a file in its data directory with the URL of its API. */
export const orchestratorNoteName = "orchestrator.json";

const noteSchema = z.object({
  apiUrl: z.url({ protocol: /^https?$/ }),
  hostId: z.string().max(100).optional(),
});

/** A running orchestrator's note in its data directory. */
export interface OrchestratorNote {
  readonly apiUrl: string;
  /** Null in the note of an earlier version. */
  readonly hostId: string | null;
}

/**
 * Finds the API: by its URL, or by the orchestrator's note in the data directory; by the default URL only if neither is named.
 * A flag of one option has priority over the variable of the other. Throws `config_invalid` with all problems.
 */
export async function loadClientConfig(flags: RawFlags, env: Environment): Promise<ClientConfig> {
  const { values, problems } = readOptions(clientOptions, flags, env);
  if (problems.length > 0) throw invalid(problems);
  const dataDir = values.dataDir ?? defaultDataDir(env, process.getuid?.());
  const common = { apiToken: values.apiToken ?? null, dataDir, ...namedBy(flags, env) };
  const isByDirectory = flags.apiUrl === undefined && flags.dataDir !== undefined;
  if (values.apiUrl && !isByDirectory) return { ...common, apiUrl: values.apiUrl, hostId: null };
  const note = await readNote(dataDir);
  const apiUrl = note?.apiUrl ?? (common.dataDirFrom === null ? defaultApiUrl : null);
  return { ...common, apiUrl, hostId: note?.hostId ?? null };
}

function namedBy(flags: RawFlags, env: Environment) {
  return {
    apiUrlFrom: givenText(clientOptions.apiUrl, flags.apiUrl, env)?.from ?? null,
    dataDirFrom: givenText(clientOptions.dataDir, flags.dataDir, env)?.from ?? null,
  };
}

/** Reads the note of `dataDir`'s orchestrator. Null if the note is absent, not readable for this user, or incomplete. */
export async function readNote(dataDir: string): Promise<OrchestratorNote | null> {
  try {
    const text = await readFile(join(dataDir, orchestratorNoteName), "utf8");
    const { apiUrl, hostId } = noteSchema.parse(JSON.parse(text));
    return { apiUrl: withoutTrailing(apiUrl, "/"), hostId: hostId ?? null };
  } catch {
    return null;
  }
}
