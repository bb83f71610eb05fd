import { isDeepStrictEqual } from "node:util";
import { isSolsticeError } from "../../core/errors.ts";
import { closestName } from "../../core/text/closest-name.ts";
import { invalid, loadOrchestratorConfig } from "../load-orchestrator-config.ts";
import { orchestratorOptions } from "../options/options.ts";
import { type Environment, type RawFlags, readOptions } from "../options/read-options.ts";
import type { OrchestratorConfig } from "../orchestrator-config.ts";
import { type EnvironmentFile, readEnvironmentFile } from "./environment-file.ts";

/** What a reload gave. */
export interface ReloadedConfig {
  /** What the orchestrator runs with from now on: of other settings than the reloadable ones it has those of the start. */
  readonly config: OrchestratorConfig;
  /** The variables (`MAX_CONCURRENCY`) whose new values only a restart takes on. */
  readonly needRestart: readonly string[];
  /** A sentence for each variable of the environment file that looks like a misspelt setting. */
  readonly warnings: readonly string[];
}

/** Where an orchestrator's configuration comes from, so that it can be read again. Both throw one `config_invalid` with every problem. */
export interface ConfigSource {
  load(): Promise<OrchestratorConfig>;
  /** Reads the files again, also those that the environment file names now. To be called after `load`. */
  reload(): Promise<ReloadedConfig>;
  /** The same warnings of the file that `load` read. */
  warnings(): readonly string[];
}

/** The options whose values a running orchestrator can exchange. */
const reloadable: ReadonlySet<string> = new Set(["config", "secretsFile", "apiToken"]);

/** The source of an orchestrator that was started with these flags and this environment. */
export function createConfigSource(flags: RawFlags, started: Environment): ConfigSource {
  let first: EnvironmentFile = noFile;
  return {
    async load() {
      first = await readFileOf(flags, started);
      return await loadWith(first, flags, merge(started, first));
    },
    async reload() {
      const file = await readFileOf(flags, started);
      const atStart = merge(started, first);
      // A variable that the service manager took from the file is gone where the file does not set it any more.
      const now = merge(without(started, first), file);
      const config = await loadWith(file, flags, now);
      const needRestart = changedVariables(flags, atStart, now);
      const found = { needRestart, warnings: misspeltSettings(file) };
      if (needRestart.length === 0) return { config, ...found };
      return { config: await loadOrchestratorConfig(flags, withReloadable(atStart, now)), ...found };
    },
    warnings: () => misspeltSettings(first),
  };
}

const noFile: EnvironmentFile = { variables: new Map(), problems: [] };

async function readFileOf(flags: RawFlags, env: Environment): Promise<EnvironmentFile> {
  const { environmentFile } = orchestratorOptions;
  // What is wrong about the option itself is among the problems of all options.
  const place = readOptions({ environmentFile }, flags, env).values.environmentFile ?? null;
  return place === null ? noFile : await readEnvironmentFile(place);
}

async function loadWith(
  file: EnvironmentFile,
  flags: RawFlags,
  env: Environment,
): Promise<OrchestratorConfig> {
  if (file.problems.length === 0) return await loadOrchestratorConfig(flags, env);
  try {
    await loadOrchestratorConfig(flags, env);
  } catch (error) {
    if (!isSolsticeError(error, "config_invalid")) throw error;
    throw invalid([...file.problems, ...error.message.split("\n")]);
  }
  throw invalid(file.problems);
}

/** The file wins, as systemd's `EnvironmentFile=` wins over `Environment=`. */
function merge(env: Environment, { variables }: EnvironmentFile): Environment {
  return { ...env, ...Object.fromEntries(variables) };
}

function without(env: Environment, { variables }: EnvironmentFile): Environment {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !variables.has(name)));
}

/** The environment of now, with every option that cannot be exchanged as it was at the start. */
function withReloadable(atStart: Environment, now: Environment): Environment {
  const fixed = fixedOptions().map(([, { environment }]) => [environment, atStart[environment]]);
  return { ...now, ...Object.fromEntries(fixed) };
}

function changedVariables(flags: RawFlags, before: Environment, after: Environment): string[] {
  const [old, present] = [before, after].map((env) => readOptions(orchestratorOptions, flags, env).values);
  return fixedOptions()
    .filter(([name]) => !isDeepStrictEqual(old?.[name], present?.[name]))
    .map(([, { environment }]) => environment);
}

/**
 * Variables whose names are near that of a setting with the same first letter, which typing errors rarely change. Others are
 * not ours to judge: the file may set what Node, S3 (AWS_REGION) or a secret (NPM_TOKEN) takes from the environment.
 */
function misspeltSettings({ variables }: EnvironmentFile): string[] {
  const known: string[] = Object.values(orchestratorOptions).map(({ environment }) => environment);
  return [...variables.keys()].flatMap((name) => {
    if (known.includes(name)) return [];
    const alike = known.filter((setting) => setting[0] === name[0]?.toUpperCase());
    const nearest = closestName(name, alike);
    return nearest === null ? [] : [`${name} in ENVIRONMENT_FILE is no setting: did you mean ${nearest}?`];
  });
}

type OptionName = keyof typeof orchestratorOptions;

function fixedOptions() {
  const entries = Object.entries(orchestratorOptions) as [OptionName, { environment: string }][];
  return entries.filter(([name]) => !reloadable.has(name));
}
