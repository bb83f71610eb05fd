import { Argument, type Command } from "commander";
import { examplesText, type RegisterCommand } from "../../command.ts";
import type { CliContext } from "../../context.ts";
import { write } from "../../print/output.ts";

const shells = ["bash", "zsh"] as const;

/** `solstice completion SHELL`: prints a script that makes a shell complete commands and options. */
export const registerCompletion: RegisterCommand = (program, context) => {
  program
    .command("completion")
    .addArgument(new Argument("<SHELL>", "the shell").choices(shells))
    .summary("print a script that completes commands and options in a shell")
    .description(
      `Prints a script for a shell (${shells.join(" or ")}) that completes the names of commands and options.`,
    )
    .addHelpText(
      "after",
      examplesText([
        ['eval "$(solstice completion bash)"', "in ~/.bashrc"],
        ['eval "$(solstice completion zsh)"', "in ~/.zshrc, after compinit"],
        ["solstice completion bash > /etc/bash_completion.d/solstice", "for all users"],
      ]),
    )
    .action((shell: (typeof shells)[number]) => printScript(shell, program, context));
};

async function printScript(
  shell: (typeof shells)[number],
  program: Command,
  { stdout }: CliContext,
): Promise<void> {
  const bridge = shell === "zsh" ? "autoload -U +X bashcompinit && bashcompinit\n" : "";
  await write(stdout, bridge + completionScript(wordsByPath(program, ""), valuesByOption(program)));
}

/** The words that can follow each command, by the command's words, each after a space: ` cache list`. */
function wordsByPath(command: Command, path: string): Map<string, readonly string[]> {
  const children = command.commands.filter((child) => child.name() !== "help");
  const options = command.options.map(({ long }) => long ?? "");
  const help = children.length > 0 ? ["help"] : [];
  const choices = command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []);
  const own = [...children.map((child) => child.name()), ...choices, ...help, ...options, "--help"];
  const names = (child: Command) => [child.name(), ...child.aliases()];
  const below = children.flatMap((child) =>
    names(child).flatMap((name) => [...wordsByPath(child, `${path} ${name}`)]),
  );
  return new Map([[path, own], ...below]);
}

/** The values of each option that takes a value; an empty list if any value is valid, such as a file name. */
function valuesByOption(command: Command): Map<string, readonly string[]> {
  const own = command.options.filter(({ required }) => required);
  return new Map([
    ...own.map(({ long, argChoices }) => [long ?? "", argChoices ?? []] as const),
    ...command.commands.flatMap((child) => [...valuesByOption(child)]),
  ]);
}

/** A script for bash. It offers file names when no command or option begins with the word. */
function completionScript(
  words: ReadonlyMap<string, readonly string[]>,
  values: ReadonlyMap<string, readonly string[]>,
): string {
  const valueCases = [...values].map(([option, names]) => `    ${option}) words='${names.join(" ")}' ;;`);
  const paths = [...words.keys()].filter((path) => path !== "").map((path) => `'${path}'`);
  const cases = [...words].map(([path, names]) => `    '${path}') words='${names.join(" ")}' ;;`);
  return `# Completes the commands and options of solstice.
_solstice() {
  local current=\${COMP_WORDS[COMP_CWORD]} path='' words='' at
  for ((at = 1; at < COMP_CWORD; at++)); do
    case "$path \${COMP_WORDS[at]}" in
      ${paths.join(" | ")}) path="$path \${COMP_WORDS[at]}" ;;
    esac
  done
  case "$path" in
${cases.join("\n")}
  esac
  case "\${COMP_WORDS[COMP_CWORD - 1]}" in
${valueCases.join("\n")}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _solstice solstice
`;
}
