import type { Command } from "commander";
import { SolsticeError } from "../../core/errors.ts";
import { closestName, didYouMean } from "../../core/text/closest-name.ts";

/** Words after a command that lists by default; other tools require such a word. */
const listWords: readonly string[] = ["list", "ls"];

/**
 * The command line with its command words checked and put in one form: `help A B` and `A help B` become `A B --help`, and
 * `jobs list` becomes `jobs`. Throws `usage` for a word that names no command, with the closest name.
 */
export function readCommandWords(program: Command, args: readonly string[]): string[] {
  const path: Command[] = [program];
  let rest = [...args];
  let wantsHelp = false;
  for (let word = rest[0]; isWord(word); word = rest[0]) {
    const parent = path.at(-1) ?? program;
    const child = commandNamed(parent, word);
    if (child !== null) path.push(child);
    else if (word === "help" && parent.commands.length > 0) wantsHelp = true;
    else if (isListWord(word, parent)) break;
    else if (isUnknown(word, { parent, rest, wantsHelp })) throw unknownCommand(word, path);
    else break;
    rest = rest.slice(1);
  }
  if (isListWord(rest[0], path.at(-1) ?? program)) rest = rest.slice(1);
  const names = path.slice(1).map((command) => command.name());
  return wantsHelp ? [...names, "--help"] : [...names, ...rest];
}

/** The names of a command's subcommands, without aliases. */
export function commandNames(parent: Command): string[] {
  return parent.commands.map((command) => command.name());
}

function isWord(word: string | undefined): word is string {
  return word !== undefined && word !== "" && !word.startsWith("-");
}

function commandNamed(parent: Command, word: string): Command | null {
  return parent.commands.find((one) => one.name() === word || one.aliases().includes(word)) ?? null;
}

function isListWord(word: string | undefined, parent: Command): boolean {
  return parent.name() in listsByDefault && word !== undefined && listWords.includes(word);
}

/** Commands that list by default. No job id equals a list word: ids lack some of its letters. */
const listsByDefault: Readonly<Record<string, true>> = { jobs: true, images: true, artifacts: true };

/** True for a word that names no command and is no argument. A word similar to a subcommand's name, before another argument, is a typing error. */
function isUnknown(
  word: string,
  { parent, rest, wantsHelp }: { parent: Command; rest: readonly string[]; wantsHelp: boolean },
): boolean {
  if (wantsHelp || parent.parent === null) return true;
  if (parent.commands.length === 0) return false;
  if (parent.registeredArguments.length === 0) return true;
  return isWord(rest[1]) && closestName(word, commandNames(parent)) !== null;
}

function unknownCommand(word: string, path: readonly Command[]): SolsticeError {
  const parent = path.at(-1);
  const names = parent === undefined ? [] : commandNames(parent);
  const line = path.map((command) => command.name()).join(" ");
  const list = names.length === 0 ? "It has no commands." : `Commands: ${names.join(", ")}.`;
  return new SolsticeError("usage", `${line} has no command "${word}"${didYouMean(word, names)}.`, {
    remedy: `${list}\nSee: ${line} --help`,
  });
}
