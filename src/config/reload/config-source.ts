import { isDeepStrictEqual } from "node:util";
import { isSolsticeError } from "../../core/errors.ts";
import { closestName } from "../../core/text/closest-name.ts";
import { invalid, loadOrchestratorConfig } from "../load-orchestrator-config.ts";
import { orchestratorOptions } from "../options/options.ts";
import { type Environment, type RawFlags, readOptions } from "../options/read-options.ts";
import type { OrchestratorConfig } from "../orchestrator-config.ts";
import { type EnvironmentFile, readEnvironmentFile } from "./environment-file.ts";

/** The result of a reload. */
export interface ReloadedConfig {
  /** The new configuration. Settings that cannot be reloaded keep their values from the start. */
  readonly config: OrchestratorConfig;
  /** The variables (`MAX_CONCURRENCY`) whose new values need a restart. */
  readonly needRestart: readonly string[];
  /** A sentence for each variable of the environment file that looks like a misspelt setting. */
  readonly warnings: readonly string[];
}

/** The source of an orchestrator's configuration. `load` and `reload` throw one `config_invalid` with all problems. */
export interface ConfigSource {
  load(): Promise<OrchestratorConfig>;
  /** Reads all files again, also files that the environment file names now. Call it after `load`. */
  reload(): Promise<ReloadedConfig>;
  /** {@link ReloadedConfig.warnings} for the file that `load` read. */
  warnings(): readonly string[];
}

/** The options that a reload can change. */
const reloadable: ReadonlySet<string> = new Set(["config", "secretsFile", "apiToken"]);

/** The source for an orchestrator that was started with these flags and this environment. */
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
      // The service manager has copied the file's variables into the environment. A variable removed from the file must not survive there.
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
  // Problems of this option are reported with those of all options.
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

/** Adds the file's variables, with priority, as systemd's `EnvironmentFile=` has priority over `Environment=`. */
function merge(env: Environment, { variables }: EnvironmentFile): Environment {
  return { ...env, ...Object.fromEntries(variables) };
}

function without(env: Environment, { variables }: EnvironmentFile): Environment {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !variables.has(name)));
}

/** The current environment, but options that cannot be reloaded have their values from the start. */
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
 * Variables with a name similar to a setting with the same first letter, which typing errors rarely change. Other variables
 * are no mistakes: the file may set variables of Node, S3 (AWS_REGION) or a secret (NPM_TOKEN).
 */
function misspeltSettings({ variables }: EnvironmentFile): string[] {
  const settings: string[] = Object.values(orchestratorOptions).map(({ environment }) => environment);
  return [...variables.keys()].flatMap((name) => {
    if (settings.includes(name)) return [];
    const candidates = settings.filter((setting) => setting[0] === name[0]?.toUpperCase());
    const nearest = closestName(name, candidates);
    return nearest === null ? [] : [`${name} in ENVIRONMENT_FILE is no setting: did you mean ${nearest}?`];
  });
}

type OptionName = keyof typeof orchestratorOptions;

function fixedOptions() {
  const entries = Object.entries(orchestratorOptions) as [OptionName, { environment: string }][];
  return entries.filter(([name]) => !reloadable.has(name));
}
