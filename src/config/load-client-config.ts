import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { withoutTrailing } from "../core/text-ends.ts";
import { defaultDataDir } from "./data-dir.ts";
import { invalid } from "./load-orchestrator-config.ts";
import { clientOptions } from "./options.ts";
import { type Environment, type RawFlags, readOptions } from "./read-options.ts";

/** How a command reaches the API. */
export interface ClientConfig {
  readonly apiUrl: string;
  readonly apiToken: string | null;
  readonly dataDir: string;
}

/** Where the API is when nothing says otherwise. */
export const defaultApiUrl = "http://127.0.0.1:7410";

/** The name of the file in the data directory in which a running orchestrator notes where it can be reached. */
export const orchestratorNoteName = "orchestrator.json";

const noteSchema = z.object({ apiUrl: z.url({ protocol: /^https?$/ }) });

/**
 * How to reach the API: the URL given, else the one the orchestrator noted in the data directory, else the default.
 * Throws `config_invalid` with every problem.
 */
export async function loadClientConfig(flags: RawFlags, env: Environment): Promise<ClientConfig> {
  const { values, problems } = readOptions(clientOptions, flags, env);
  if (problems.length > 0) throw invalid(problems);
  const dataDir = values.dataDir ?? defaultDataDir(env, process.getuid?.());
  const apiUrl = values.apiUrl ?? (await readNotedUrl(dataDir)) ?? defaultApiUrl;
  return Object.freeze({ apiUrl, apiToken: values.apiToken ?? null, dataDir });
}

/** Where the orchestrator of `dataDir` noted that it can be reached. The note is a convenience: absent, unreadable for this user or half-written, it is as if it were not there. */
export async function readNotedUrl(dataDir: string): Promise<string | null> {
  try {
    const note = noteSchema.parse(JSON.parse(await readFile(join(dataDir, orchestratorNoteName), "utf8")));
    return withoutTrailing(note.apiUrl, "/");
  } catch {
    return null;
  }
}
