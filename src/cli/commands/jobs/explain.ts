import { addClientOptions, examplesText, openSession, type RegisterCommand } from "../../command.ts";
import { write, writeJson } from "../../print/output.ts";
import { durationText, oneLine } from "../../print/text.ts";

/** `solstice explain JOB`: shows the reason why a job waits. */
export const registerExplain: RegisterCommand = (program, context) => {
  const command = program
    .command("explain <JOB>")
    .summary("show why a job waits")
    .description("Shows the reason why a job waits and, if past jobs allow an estimate, when it may start.");
  addClientOptions(command)
    .addHelpText("after", examplesText([["solstice explain 7k3m", "why the job 7k3m… does not start"]]))
    .action(async (jobId: string, flags: { json?: true }) => {
      const session = await openSession(command, context);
      const answer = await session.call((client, options) => client.explain({ jobId }, options));
      const startMs = answer.estimatedStartMs === undefined ? null : Number(answer.estimatedStartMs);
      const { constraint, message } = answer;
      if (flags.json) {
        await writeJson(context.stdout, { constraint, message, estimated_start_ms: startMs });
        return;
      }
      const estimate = startMs === null ? "" : ` It may start in ${durationText(startMs - context.now())}.`;
      await write(context.stdout, `${oneLine(message)}${estimate}\n`);
    });
};
