import type { OptionDefinition } from "../../config/options/option-definition.ts";
import type { Environment, RawFlags } from "../../config/options/read-options.ts";
import { readSettings } from "../../config/options/settings.ts";
import type { Setting } from "../../config/orchestrator-config.ts";
import type { DescribeHostResponse } from "../../gen/solstice/v1/jobs_pb.ts";
import { oneLine } from "../print/text.ts";

/** The flags and environment of a command, and its options. */
export interface Given {
  readonly table: Readonly<Record<string, OptionDefinition<unknown>>>;
  readonly flags: RawFlags;
  readonly env: Environment;
}

/** Options for the access to the API: settings of the client, not of the orchestrator. */
const clientFlags: readonly string[] = ["api-url", "api-token"];

/** A sentence for each option whose value here differs from the running orchestrator's value. */
export function differences({ table, flags, env }: Given, host: DescribeHostResponse): string[] {
  return readSettings(table, flags, env)
    .filter(({ isDefault, flag }) => !isDefault && !clientFlags.includes(flag))
    .flatMap((mine) => {
      const theirs = settingOf(host, mine.flag);
      if (isSame(mine, theirs)) return [];
      const there = theirs === null ? "is not set" : `is ${theirs.secret ? "secret" : oneLine(theirs.value)}`;
      const here = mine.value === null ? "is set here" : `is ${oneLine(mine.value)} here`;
      return [`${mine.from} ${here}; in the running orchestrator --${mine.flag} ${there}.`];
    });
}

/** The orchestrator's value of a flag; for a default that depends on the host, the value on that host. */
export function settingOf(
  host: DescribeHostResponse,
  flag: string,
): { readonly value: string; readonly secret: boolean } | null {
  if (flag === "data-dir") return { value: host.dataDir, secret: false };
  if (flag === "config") return { value: host.imageMapPath, secret: false };
  if (flag === "hypervisor") return { value: host.backend, secret: false };
  return host.settings.find((setting) => setting.flag === flag) ?? null;
}

function isSame(mine: Setting, theirs: ReturnType<typeof settingOf>): boolean {
  if (theirs === null) return false;
  // Secrets cannot be compared: neither side shows them.
  if (mine.value === null || theirs.secret) return true;
  return mine.value === theirs.value || (mine.flag === "hypervisor" && mine.value === "auto");
}
