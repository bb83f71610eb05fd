import type { Command } from "../host/context.ts";
import { CommandFailure, usageExitCode } from "../host/failure.ts";
import { getopt, optionValue } from "../host/getopt.ts";
import { allDatasets, findDataset } from "./datasets.ts";
import { niceSize } from "./sizes.ts";
import { datasetUsed, poolSize } from "./space.ts";

/** zpool(8): only `list`, with the columns for a pool's size and health. */
export const zpool: Command = (context, [name, ...args]) => {
  if (name !== "list")
    throw new CommandFailure(`unrecognized command '${name ?? ""}'\nusage: zpool list`, usageExitCode);
  const options = getopt(args, "HpvT:o:");
  const columns = (optionValue(options, "o") ?? "name,size,allocated,free,health").split(",");
  const pools = options.operands.length > 0 ? options.operands : allDatasets(context).map((one) => one.name);
  if (!options.given.has("H")) context.out(columns.map((column) => column.toUpperCase()).join("  "));
  for (const pool of pools.filter((one) => !/[/@]/.test(one))) {
    const root = findDataset(context, pool);
    if (!root) throw new CommandFailure(`cannot open '${pool}': no such pool`);
    const size = (bytes: number) => (options.given.has("p") ? String(bytes) : niceSize(bytes));
    const used = datasetUsed(context, root);
    const known: Record<string, string> = {
      name: pool,
      health: "ONLINE",
      size: size(poolSize(context, pool)),
    };
    known.allocated = known.alloc = size(used);
    known.free = size(poolSize(context, pool) - used);
    context.out(columns.map((column) => known[column] ?? "-").join(options.given.has("H") ? "\t" : "  "));
  }
};
