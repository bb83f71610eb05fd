import { type CommandHost, execute } from "../commands.ts";
import { isAbsent, toHostError } from "../errors.ts";

/** A dataset's own properties, without inherited ones. */
export type OwnProperties = ReadonlyMap<string, string>;

/** A dataset with its own properties among the requested ones. */
export interface Dataset {
  readonly name: string;
  readonly properties: OwnProperties;
}

/** Sources of a dataset's own properties (zfs(8), `source`); `-` for properties that cannot be set. */
const ownSources = ["local", "received", "-"];

/**
 * Lists the datasets of `zfs get`: `args` selects them (`-r`, `-d 1`, `-t volume` and a name). Empty when there is no
 * such dataset. Children inherit user properties, so a value needs its source.
 */
export async function listDatasets(
  host: CommandHost,
  properties: readonly string[],
  args: readonly string[],
): Promise<Dataset[]> {
  const columns = "name,property,value,source";
  const command = [
    "get",
    "-H",
    "-p",
    "-o",
    columns,
    ...args.slice(0, -1),
    properties.join(","),
    ...args.slice(-1),
  ];
  const result = await execute(host, "zfs", command);
  if (result.exitCode !== 0 && !isAbsent(result))
    throw toHostError({ program: "zfs", args: command, ...result });
  return parseProperties(result.stdout);
}

/** Returns one dataset; null when it does not exist. */
export async function findDataset(
  host: CommandHost,
  name: string,
  properties: readonly string[],
): Promise<Dataset | null> {
  const found = await listDatasets(host, properties, [name]);
  return found.find((dataset) => dataset.name === name) ?? null;
}

/** Parses the tab-separated lines of `zfs get -H -o name,property,value,source`. */
export function parseProperties(text: string): Dataset[] {
  const datasets = new Map<string, Map<string, string>>();
  for (const line of text.split("\n")) {
    const [name, property, value, source] = line.split("\t");
    if (!name || property === undefined || value === undefined || source === undefined) continue;
    const own = datasets.get(name) ?? new Map<string, string>();
    datasets.set(name, own);
    if (ownSources.includes(source.trim()) && value !== "-") own.set(property, value);
  }
  return [...datasets].map(([name, properties]) => ({ name, properties }));
}
