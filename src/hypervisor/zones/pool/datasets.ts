import { ask, type CommandHost } from "../commands.ts";
import { isAbsent, toHostError } from "../errors.ts";

/** Properties that a dataset has itself; what it inherits is not in here. */
export type OwnProperties = ReadonlyMap<string, string>;

/** A dataset with those of its own properties that were asked for. */
export interface Dataset {
  readonly name: string;
  readonly properties: OwnProperties;
}

/** Where the value of a property comes from when it is the dataset's own (zfs(8), `source`); `-` for what nobody sets. */
const ownSources = ["local", "received", "-"];

/**
 * The datasets that `zfs get` tells of: `args` says which (`-r`, `-d 1`, `-t volume` and a name). None where there is no such
 * dataset. A user property is handed down to the children, so that a value says nothing without its source.
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
  const result = await ask(host, "zfs", command);
  if (result.exitCode !== 0 && !isAbsent(result))
    throw toHostError({ program: "zfs", args: command, ...result });
  return parseProperties(result.stdout);
}

/** One dataset; null where there is none. */
export async function findDataset(
  host: CommandHost,
  name: string,
  properties: readonly string[],
): Promise<Dataset | null> {
  const found = await listDatasets(host, properties, [name]);
  return found.find((dataset) => dataset.name === name) ?? null;
}

/** Reads the tab-separated lines of `zfs get -H -o name,property,value,source`. */
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
