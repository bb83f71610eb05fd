import type { Command, Context } from "../host/context.ts";
import { CommandFailure, usageExitCode } from "../host/failure.ts";
import { BadOption, getopt, type Options, optionValue } from "../host/getopt.ts";
import { change, exclusively, row, rows } from "../host/state.ts";
import { findLink } from "./links.ts";
import { printFields } from "./show.ts";

interface Address {
  readonly object: string;
  readonly interface: string;
  readonly address: string;
  readonly temporary: number;
}

const subcommands: Record<string, { spec: string; run(context: Context, options: Options): void }> = {
  "create-if": { spec: "t", run: createInterface },
  "delete-if": { spec: "", run: deleteInterface },
  "show-if": { spec: "po:", run: showInterfaces },
  "create-addr": { spec: "tT:a:d", run: createAddress },
  "delete-addr": { spec: "r", run: deleteAddress },
  "show-addr": { spec: "po:", run: showAddresses },
};

/** ipadm(8): interfaces and static addresses. */
export const ipadm: Command = (context, [name, ...args]) => {
  const subcommand = subcommands[name ?? ""];
  if (!subcommand) throw new CommandFailure("usage:  ipadm <subcommand> <args> ...", usageExitCode);
  try {
    subcommand.run(context, getopt(args, subcommand.spec));
  } catch (error) {
    if (!(error instanceof BadOption)) throw error;
    throw new CommandFailure(`ipadm: unrecognized option '-${error.letter}'`);
  }
};

function createInterface(context: Context, options: Options): void {
  const name = options.operands[0] ?? "";
  exclusively(context.database, () => {
    if (!findLink(context, name))
      throw new CommandFailure(`ipadm: cannot create interface ${name}: No such interface`);
    if (hasInterface(context, name))
      throw new CommandFailure(`ipadm: cannot create interface ${name}: Interface already exists`);
    change(context.database, "INSERT INTO interfaces VALUES (?, ?)", name, options.given.has("t") ? 1 : 0);
  });
}

function hasInterface({ database }: Context, name: string): boolean {
  return row(database, "SELECT name FROM interfaces WHERE name = ?", name) !== undefined;
}

function deleteInterface(context: Context, options: Options): void {
  const name = options.operands[0] ?? "";
  exclusively(context.database, () => {
    if (!hasInterface(context, name))
      throw new CommandFailure(`ipadm: cannot delete interface ${name}: No such interface`);
    change(context.database, "DELETE FROM addresses WHERE interface = ?", name);
    change(context.database, "DELETE FROM interfaces WHERE name = ?", name);
  });
}

function showInterfaces(context: Context, options: Options): void {
  const name = options.operands[0];
  const all = rows<{ name: string }>(context.database, "SELECT name FROM interfaces ORDER BY name");
  const found = all.filter((one) => name === undefined || one.name === name);
  if (name !== undefined && found.length === 0) {
    throw new CommandFailure(`ipadm: cannot get information for interface(s): No such interface`);
  }
  printFields(context, options, {
    program: "ipadm",
    columns: ["IFNAME", "STATE", "CURRENT", "PERSISTENT"],
    lines: found.map((one) => ({
      IFNAME: one.name,
      STATE: "ok",
      CURRENT: "bm--------46",
      PERSISTENT: "-46",
    })),
  });
}

function createAddress(context: Context, options: Options): void {
  const object = options.operands[0] ?? "";
  const [name = ""] = object.split("/");
  if (!/^[A-Za-z][A-Za-z0-9_]*\/[A-Za-z0-9]+$/.test(object)) {
    throw new CommandFailure(`ipadm: could not create address: Invalid address object name`);
  }
  if (optionValue(options, "T") !== "static")
    throw new CommandFailure(`ipadm: only -T static is in the stand-in`);
  const [, address = ""] = /^(?:local=)?([^,]+)/.exec(optionValue(options, "a") ?? "") ?? [];
  if (!/^\d+\.\d+\.\d+\.\d+(\/\d+)?$/.test(address)) {
    throw new CommandFailure(`ipadm: could not create address: Invalid argument`);
  }
  const temporary = options.given.has("t") ? 1 : 0;
  exclusively(context.database, () => {
    if (!findLink(context, name))
      throw new CommandFailure(`ipadm: could not create address: No such interface`);
    if (row(context.database, "SELECT object FROM addresses WHERE object = ?", object)) {
      throw new CommandFailure(`ipadm: could not create address: Address object already exists`);
    }
    if (
      rows<Address>(context.database, "SELECT * FROM addresses").some(
        (one) => one.address.split("/")[0] === address.split("/")[0],
      )
    ) {
      throw new CommandFailure(`ipadm: could not create address: Address already in use`);
    }
    if (!hasInterface(context, name))
      change(context.database, "INSERT INTO interfaces VALUES (?, ?)", name, temporary);
    const full = address.includes("/") ? address : `${address}/24`;
    change(context.database, "INSERT INTO addresses VALUES (?, ?, ?, ?)", object, name, full, temporary);
  });
}

function deleteAddress(context: Context, options: Options): void {
  const object = options.operands[0] ?? "";
  exclusively(context.database, () => {
    const gone = change(context.database, "DELETE FROM addresses WHERE object = ?", object);
    if (gone === 0) throw new CommandFailure(`ipadm: could not delete address: Object not found`);
  });
}

function showAddresses(context: Context, options: Options): void {
  const name = options.operands[0];
  const loopback = { object: "lo0/v4", interface: "lo0", address: "127.0.0.1/8", temporary: 0 };
  const all = [loopback, ...rows<Address>(context.database, "SELECT * FROM addresses ORDER BY object")];
  const found = all.filter(
    (one) =>
      name === undefined || one.object === name || `${one.interface}/` === name || one.interface === name,
  );
  if (name !== undefined && found.length === 0) {
    throw new CommandFailure(`ipadm: address object not found`);
  }
  printFields(context, options, {
    program: "ipadm",
    columns: ["ADDROBJ", "TYPE", "STATE", "ADDR"],
    lines: found.map((one) => ({ ADDROBJ: one.object, TYPE: "static", STATE: "ok", ADDR: one.address })),
  });
}
