import { readFileSync } from "node:fs";
import type { Command } from "../host/context.ts";
import { CommandFailure, usageExitCode } from "../host/failure.ts";
import { BadOption, getopt, type Options, optionValue } from "../host/getopt.ts";
import { Exit } from "../zones/complaint.ts";
import { isZoneName } from "../zones/names.ts";
import { Session } from "./zonecfg-session.ts";
import { splitCommands } from "./zonecfg-words.ts";

const usage = [
  "usage:\tzonecfg help",
  "\tzonecfg -z <zone>\t\t\t(interactive)",
  "\tzonecfg -z <zone> <command>",
  "\tzonecfg -z <zone> -f <command-file>",
].join("\n");

/** zonecfg(8): commands as arguments (joined with blanks) or from a file. */
export const zonecfg: Command = (context, args) => {
  const options = readOptions(args);
  const zone = optionValue(options, "z");
  if (zone === undefined) throw new CommandFailure(usage, usageExitCode);
  if (!isZoneName(zone)) throw new CommandFailure(`${zone}: Bogus zone name\n${usage}`, usageExitCode);
  const file = optionValue(options, "f");
  const session = new Session(context, zone);
  const text = options.operands.length > 0 ? options.operands.join(" ") : readCommands(file);
  try {
    for (const words of splitCommands(text)) {
      session.run(words);
      // The first error ends a file of commands, but not commands in arguments (read_input of zonecfg.c).
      if (session.sawError && file !== undefined && options.operands.length === 0) break;
    }
  } catch (error) {
    if (!(error instanceof Exit)) throw error;
    if (session.sawError) return 1;
  }
  return session.finish();
};

function readOptions(args: readonly string[]): Options {
  try {
    return getopt(args, "f:R:z:");
  } catch (error) {
    if (error instanceof BadOption) throw new CommandFailure(usage, usageExitCode);
    throw error;
  }
}

function readCommands(file: string | undefined): string {
  // Without commands zonecfg is interactive, which is not supported here.
  if (file === undefined || file === "-") return "";
  try {
    return readFileSync(file, "utf8");
  } catch {
    throw new CommandFailure(`could not open file ${file}: No such file or directory`);
  }
}
