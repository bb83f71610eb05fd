import { guestPlaceOptions } from "../../config/options/guest-place-options.ts";
import { orchestratorOptions } from "../../config/options/options.ts";
import type { Environment, RawFlags } from "../../config/options/read-options.ts";
import { readSettings } from "../../config/options/settings.ts";
import { SolsticeError } from "../../core/errors.ts";
import type { LastRun } from "../../orchestrator/last-run.ts";

const { hypervisor } = orchestratorOptions;

/**
 * The flags with backend and place of the guests as the last orchestrator of the data directory had them: looked for anywhere
 * else, each guest would seem to be lost. Throws `config_invalid` where other values were given.
 */
export function likeLastRun(
  { backend, options }: LastRun,
  { dataDir, flags, env }: { dataDir: string; flags: RawFlags; env: Environment },
): RawFlags {
  const table = { hypervisor, ...guestPlaceOptions[backend] };
  const noted: Readonly<Record<string, string | undefined>> = { ...options, [hypervisor.flag]: backend };
  const differing = readSettings(table, flags, env).filter(
    ({ flag, value, isDefault }) =>
      !isDefault && value !== noted[flag] && !(flag === hypervisor.flag && value === "auto"),
  );
  if (differing.length > 0) {
    const values = differing.map(({ from, value, flag }) => {
      const there = noted[flag] === undefined ? `without --${flag}` : `with --${flag} ${noted[flag]}`;
      return `${from} is ${value} here, and the last orchestrator of ${dataDir} ran ${there}.`;
    });
    throw new SolsticeError("config_invalid", values.join("\n"), {
      remedy: `Unset ${differing.map(({ from }) => from).join(", ")}, or give the orchestrator's value.`,
    });
  }
  const pairs = Object.entries(table).map(([name, { flag }]) => [name, noted[flag] ?? flags[name]]);
  return { ...flags, ...Object.fromEntries(pairs) };
}
