import { guestPlaceOptions } from "../../config/options/guest-place-options.ts";
import { orchestratorOptions } from "../../config/options/options.ts";
import type { Environment, RawFlags } from "../../config/options/read-options.ts";
import { readSettings } from "../../config/options/settings.ts";
import { SolsticeError } from "../../core/errors.ts";
import type { LastRun } from "../../orchestrator/last-run.ts";

const { hypervisor } = orchestratorOptions;

/**
 * The flags with the backend and the guests' place of the data directory's last orchestrator. With other values, each guest
 * would seem to be lost. Throws `config_invalid` if flags or environment have other values.
 */
export function likeLastRun(
  { backend, options }: LastRun,
  { dataDir, flags, env }: { dataDir: string; flags: RawFlags; env: Environment },
): RawFlags {
  const table = { hypervisor, ...guestPlaceOptions[backend] };
  const recorded: Readonly<Record<string, string | undefined>> = { ...options, [hypervisor.flag]: backend };
  const differing = readSettings(table, flags, env).filter(
    ({ flag, value, isDefault }) =>
      !isDefault && value !== recorded[flag] && !(flag === hypervisor.flag && value === "auto"),
  );
  if (differing.length > 0) {
    const values = differing.map(({ from, value, flag }) => {
      const there = recorded[flag] === undefined ? `without --${flag}` : `with --${flag} ${recorded[flag]}`;
      return `${from} is ${value} here, but the last orchestrator of ${dataDir} ran ${there}.`;
    });
    throw new SolsticeError("config_invalid", values.join("\n"), {
      remedy: `Unset ${differing.map(({ from }) => from).join(", ")}, or give the orchestrator's value.`,
    });
  }
  const pairs = Object.entries(table).map(([name, { flag }]) => [name, recorded[flag] ?? flags[name]]);
  return { ...flags, ...Object.fromEntries(pairs) };
}
