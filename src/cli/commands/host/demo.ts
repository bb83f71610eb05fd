import { runDemo } from "../../../demo/demo.ts";
import { examplesText, type RegisterCommand } from "../../command.ts";
import { exitCodes } from "../../print/exit-codes.ts";
import { paint } from "../../print/output.ts";

/** `solstice demo`: runs one job in a fresh virtual machine; installs what is missing and removes the machine again. */
export const registerDemo: RegisterCommand = (program, context) => {
  program
    .command("demo")
    .summary("watch one job run in a fresh virtual machine")
    .description(
      "Prepares this host (Debian, as root: packages, libvirt, network), builds a small Debian image once, serves a " +
        "git repository to a guest, runs its job there while you watch, and removes everything again. Exits with the " +
        "job's exit code.",
    )
    .addHelpText("after", examplesText([["npm run demo", "the same, from a fresh clone"]]))
    .action(async () => {
      const interrupt = new AbortController();
      const onInterrupt = () => interrupt.abort();
      process.once("SIGINT", onInterrupt).once("SIGTERM", onInterrupt);
      const report = (text: string) =>
        void context.stdout.write(`${paint(context.stdout, "bold", `── ${text}`)}\n`);
      try {
        context.setExitCode(await runDemo({ report, signal: interrupt.signal }));
      } catch (error) {
        if (!interrupt.signal.aborted) throw error;
        report("Interrupted; everything was removed");
        context.setExitCode(exitCodes.interrupted);
      } finally {
        process.off("SIGINT", onInterrupt).off("SIGTERM", onInterrupt);
      }
    });
};
