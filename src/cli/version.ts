import { projectVersion } from "../host/version.ts";
import { examplesText, type RegisterCommand } from "./command.ts";
import { write, writeJson } from "./print/output.ts";

/** `solstice version`: the version of this installation. */
export const registerVersion: RegisterCommand = (program, context) => {
  program
    .command("version")
    .summary("print the version of this command")
    .description(
      "Prints the version of this command. `solstice capacity --json` has the version of each host.",
    )
    .option("--json", "print one JSON document")
    .addHelpText("after", examplesText([["solstice version --json | jq -r .version", "for programs"]]))
    .action(async (flags: { json?: true }) => {
      const version = projectVersion();
      if (flags.json) await writeJson(context.stdout, { version });
      else await write(context.stdout, `${version}\n`);
    });
};
