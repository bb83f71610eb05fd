import type { Command, Context } from "../host/context.ts";
import { CommandFailure, usageExitCode } from "../host/failure.ts";
import { BadOption, getopt, type Options, optionValue } from "../host/getopt.ts";
import { change, exclusively } from "../host/state.ts";
import { clone, createDataset, snapshot } from "./create.ts";
import { openDataset, withDescendants } from "./datasets.ts";
import { destroy } from "./destroy.ts";
import { get } from "./get.ts";
import { list } from "./list.ts";
import { parseAssignment, setProperty } from "./set.ts";
import { parseSize } from "./sizes.ts";

type Subcommand = { readonly spec: string; run(context: Context, options: Options): void };

const subcommands: Record<string, Subcommand> = {
  create: { spec: "psV:b:o:", run: runCreate },
  clone: { spec: "po:", run: runClone },
  snapshot: { spec: "ro:", run: runSnapshot },
  snap: { spec: "ro:", run: runSnapshot },
  destroy: { spec: "rRf", run: runDestroy },
  list: { spec: "HprS:s:d:o:t:", run: list },
  get: { spec: "Hprd:o:s:t:", run: get },
  set: { spec: "", run: runSet },
  inherit: { spec: "rS", run: runInherit },
};

/** zfs(8): the subcommands that the zones backend and an operator use. */
export const zfs: Command = (context, [name, ...args]) => {
  if (name === undefined) throw usage("missing command");
  const subcommand = subcommands[name];
  if (!subcommand) throw usage(`unrecognized command '${name}'`);
  subcommand.run(context, readOptions(args, subcommand.spec));
};

/** Reads options; reports an invalid one as zfs_main.c does. */
function readOptions(args: readonly string[], spec: string): Options {
  try {
    return getopt(args, spec);
  } catch (error) {
    if (!(error instanceof BadOption)) throw error;
    throw usage(
      error.lacksValue ? `missing argument for '${error.letter}' option` : `invalid option '${error.letter}'`,
    );
  }
}

function usage(text: string): CommandFailure {
  return new CommandFailure(`${text}\nusage:\n\tzfs command args ...`, usageExitCode);
}

function propertiesOf(options: Options): [string, string][] {
  const seen = new Map<string, string>();
  for (const text of options.values.get("o") ?? []) {
    const [name, value] = parseAssignment(text);
    if (seen.has(name)) throw new CommandFailure(`property '${name}' specified multiple times`);
    seen.set(name, value);
  }
  return [...seen];
}

function single(options: Options, what: string): string {
  const [name, ...more] = options.operands;
  if (name === undefined) throw usage(`missing ${what} argument`);
  if (more.length > 0) throw usage("too many arguments");
  return name;
}

function runCreate(context: Context, options: Options): void {
  const size = optionValue(options, "V");
  const block = optionValue(options, "b");
  const volsize = size === undefined ? null : parseSize(size);
  if (size !== undefined && volsize === null) {
    throw new CommandFailure(`bad volume size '${size}': bad numeric value '${size}'`);
  }
  if (volsize === null && (options.given.has("s") || block !== undefined)) {
    throw usage("'-s' and '-b' can only be used when creating a volume");
  }
  const volblocksize = block === undefined ? undefined : (parseSize(block) ?? 0);
  createDataset(context, {
    name: single(options, size === undefined ? "filesystem" : "volume"),
    properties: propertiesOf(options),
    volsize,
    ...(volblocksize === undefined ? {} : { volblocksize }),
    sparse: options.given.has("s"),
    parents: options.given.has("p"),
  });
}

function runClone(context: Context, options: Options): void {
  const [from, name, ...more] = options.operands;
  if (from === undefined) throw usage("missing source dataset argument");
  if (name === undefined) throw usage("missing target dataset argument");
  if (more.length > 0) throw usage("too many arguments");
  clone(context, from, { name, properties: propertiesOf(options), parents: options.given.has("p") });
}

function runSnapshot(context: Context, options: Options): void {
  if (options.operands.length === 0) throw usage("missing snapshot argument");
  snapshot(context, options.operands, {
    recursive: options.given.has("r"),
    properties: propertiesOf(options),
  });
}

function runDestroy(context: Context, options: Options): void {
  destroy(context, single(options, "dataset"), {
    below: options.given.has("r"),
    clones: options.given.has("R"),
  });
}

function runSet(context: Context, options: Options): void {
  const isAssignment = (text: string) => text.includes("=");
  const assignments = options.operands.filter(isAssignment);
  const names = options.operands.filter((text) => !isAssignment(text));
  if (options.operands.length === 0) throw usage("missing property=value argument");
  if (assignments.length === 0) throw usage("missing property=value argument(s)");
  if (names.length === 0) throw usage("missing dataset name(s)");
  exclusively(context.database, () => {
    for (const name of names) {
      for (const text of assignments) setProperty(context, openDataset(context, name), parseAssignment(text));
    }
  });
}

function runInherit(context: Context, options: Options): void {
  const [property, ...names] = options.operands;
  if (property === undefined) throw usage("missing property argument");
  if (names.length === 0) throw usage("missing dataset argument");
  exclusively(context.database, () => {
    for (const name of names) {
      openDataset(context, name);
      const targets = options.given.has("r") ? withDescendants(context, name) : [openDataset(context, name)];
      for (const target of targets) {
        change(
          context.database,
          "DELETE FROM properties WHERE dataset = ? AND name = ?",
          target.name,
          property,
        );
      }
    }
  });
}
