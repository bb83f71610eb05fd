import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { withoutTrailing } from "../core/text/text-ends.ts";
import { defaultDataDir } from "./data-dir.ts";
import { invalid } from "./load-orchestrator-config.ts";
import { clientOptions } from "./options/options.ts";
import { type Environment, givenText, type RawFlags, readOptions } from "./options/read-options.ts";

/** How a command reaches the API. */
export interface ClientConfig {
  /** Null: the data directory was named, and no orchestrator has noted its address there. */
  readonly apiUrl: string | null;
  readonly apiToken: string | null;
  readonly dataDir: string;
  /** The host that must answer, where the address is one that its orchestrator noted; else null. */
  readonly hostId: string | null;
  /** The flag or variable that named the API, such as `SOLSTICE_API_URL`; null: nothing did. */
  readonly apiUrlFrom: string | null;
  /** The flag or variable that named the data directory; null: it is the default. */
  readonly dataDirFrom: string | null;
}

/** Where the API is when nothing names it. */
export const defaultApiUrl = "http://127.0.0.1:7410";

/** The name of the file in the data directory in which a running orchestrator notes where it can be reached. */
export const orchestratorNoteName = "orchestrator.json";

const noteSchema = z.object({
  apiUrl: z.url({ protocol: /^https?$/ }),
  hostId: z.string().max(100).optional(),
});

/** What a running orchestrator notes in its data directory. */
export interface OrchestratorNote {
  readonly apiUrl: string;
  /** Null in the note of an earlier version. */
  readonly hostId: string | null;
}

/**
 * How to reach the API: at the URL given, or the one that the orchestrator noted in the data directory; the default only where
 * neither is named. A flag wins over the other option's variable. Throws `config_invalid` with every problem.
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

/** What the orchestrator of `dataDir` noted. The note is a convenience: absent, unreadable for this user or half-written, it is as if it were not there. */
export async function readNote(dataDir: string): Promise<OrchestratorNote | null> {
  try {
    const text = await readFile(join(dataDir, orchestratorNoteName), "utf8");
    const { apiUrl, hostId } = noteSchema.parse(JSON.parse(text));
    return { apiUrl: withoutTrailing(apiUrl, "/"), hostId: hostId ?? null };
  } catch {
    return null;
  }
}
