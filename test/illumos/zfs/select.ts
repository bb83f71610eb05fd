import type { Context } from "../host/context.ts";
import { CommandFailure } from "../host/failure.ts";
import { type Options, optionValue } from "../host/getopt.ts";
import { allDatasets, type Dataset, findDataset, isBelow, withDescendants } from "./datasets.ts";

const typeNames: Record<string, Dataset["type"][]> = {
  filesystem: ["filesystem"],
  fs: ["filesystem"],
  volume: ["volume"],
  vol: ["volume"],
  snapshot: ["snapshot"],
  snap: ["snapshot"],
  all: ["filesystem", "volume", "snapshot"],
};

/** The datasets for `zfs list` and `zfs get`, and an error for each invalid name. */
export function select(
  context: Context,
  options: Options,
  names: readonly string[],
  byDefault: readonly Dataset["type"][],
) {
  const types = wantedTypes(options);
  const complaints: string[] = [];
  const depthText = optionValue(options, "d");
  const recursive = options.given.has("r") || depthText !== undefined;
  const depth = depthText === undefined ? Number.POSITIVE_INFINITY : Number(depthText);
  const found: Dataset[] = [];
  const isWanted = (dataset: Dataset) => (types ?? byDefault).includes(dataset.type);
  if (names.length === 0) return { found: allDatasets(context).filter(isWanted), complaints };
  for (const name of names) {
    const dataset = findDataset(context, name);
    if (!dataset) {
      complaints.push(`cannot open '${name}': dataset does not exist`);
    } else if (recursive) {
      const all = withDescendants(context, name);
      found.push(...all.filter((one) => isWanted(one) && depthBelow(one.name, name) <= depth));
    } else if (types && !types.includes(dataset.type)) {
      complaints.push(`cannot open '${name}': operation not applicable to datasets of this type`);
    } else {
      found.push(dataset);
    }
  }
  return { found, complaints };
}

function depthBelow(name: string, ancestor: string): number {
  return isBelow(name, ancestor) ? name.slice(ancestor.length).split(/[/@]/).length - 1 : 0;
}

function wantedTypes(options: Options): Dataset["type"][] | null {
  const text = optionValue(options, "t");
  if (text === undefined) return null;
  return text.split(",").flatMap((name) => {
    const types = typeNames[name];
    if (!types) throw new CommandFailure(`invalid type '${name}'\nusage:\n\tzfs list`, 2);
    return types;
  });
}
