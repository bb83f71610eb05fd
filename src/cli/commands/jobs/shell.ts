import { ReadStream } from "node:tty";
import { SolsticeError } from "../../../core/errors.ts";
import { shownUrl } from "../../../core/text/shown-url.ts";
import type { ShellMoved } from "../../../gen/solstice/v1/jobs_pb.ts";
import { fromApiError } from "../../api/api-error.ts";
import type { ApiSession } from "../../api/api-session.ts";
import { addClientOptions, examplesText, openSession, type RegisterCommand } from "../../command.ts";
import type { CliContext } from "../../context.ts";
import { exitCodes } from "../../print/exit-codes.ts";
import { oneLine, timeText } from "../../print/text.ts";
import { attachShell, type Outcome } from "../../shell/attach-shell.ts";
import { escapeHelp } from "../../shell/escape.ts";

/** `solstice shell JOB`: enters the guest of a failed job that is on hold. */
export const registerShell: RegisterCommand = (program, context) => {
  const command = program
    .command("shell <JOB>")
    .summary("enter the guest of a failed job that is on hold")
    .description(
      "Opens a terminal in the guest of a failed job that has a hold (enqueue --hold-on-failure): in the " +
        "checkout, with the environment of the steps. If standard input is no terminal, the command reads shell commands from it " +
        "and prints their output. Leaving the shell does not release the guest, which stays until its hold ends or until " +
        "`solstice release JOB`.",
    );
  addClientOptions(command)
    .addHelpText(
      "after",
      examplesText([
        ["solstice shell 7k3m", "open a shell in the guest of the job whose id begins with 7k3m"],
        ["echo 'cat build/log.txt' | solstice shell 7k3m > log.txt", "copy a file out of it"],
        ["solstice release 7k3m", "remove the guest"],
      ]) + notes,
    )
    .action(async (jobId: string) => {
      await enter(jobId, { context, session: await openSession(command, context) });
    });
};

const notes = `
${escapeHelp} A guest has one shell at a time: a new shell
ends the previous one, with a message there. Exits with the shell's exit code; 0 after "~."; ${exitCodes.failure} if the shell ended
in another way.
`;

interface EnterContext {
  readonly context: CliContext;
  readonly session: ApiSession;
}

async function enter(jobId: string, target: EnterContext): Promise<void> {
  // This call reports a wrong job as the other commands do, and returns the job's full id.
  const { job } = await target.session.call((client, options) => client.get({ jobId }, options));
  const id = job?.id ?? jobId;
  let outcome = await attachAt(target.session.apiUrl, id, target);
  if (outcome.kind === "moved") outcome = await attachElsewhere(outcome.moved, id, target);
  report(id, outcome, target.context);
}

async function attachAt(apiUrl: string, jobId: string, { context, session }: EnterContext): Promise<Outcome> {
  const { stdin, stdout, stderr } = context;
  const terminal = stdin instanceof ReadStream && stdout.isTTY ? stdin : null;
  const onOpened = (openedId: string, untilMs: number) => {
    if (terminal === null) return;
    stderr.write(
      `Entered the guest of job ${oneLine(openedId)}, which is kept until ${timeText(untilMs)}. ${escapeHelp}\n`,
    );
  };
  try {
    return await attachShell({ context, client: session.twoWay(apiUrl), jobId, terminal, onOpened });
  } catch (error) {
    throw fromApiError(error, apiUrl);
  }
}

/** Follows one redirect to the host of the guest. That host must have the guest: a second redirect is an error. */
async function attachElsewhere(
  { hostId, apiUrl }: ShellMoved,
  jobId: string,
  target: EnterContext,
): Promise<Outcome> {
  const shown = oneLine(shownUrl(apiUrl));
  const where = `The guest of job ${jobId} is on host ${oneLine(hostId)}`;
  const remedy = `Run \`solstice shell ${jobId}\` there, or make its API reachable from here (API_LISTEN).`;
  if (!/^https?:\/\//.test(apiUrl))
    throw new SolsticeError("unavailable", `${where}, which has not published the URL of its API.`, {
      remedy,
    });
  let outcome: Outcome;
  try {
    outcome = await attachAt(apiUrl, jobId, target);
  } catch (error) {
    const apiError = fromApiError(error, apiUrl);
    if (apiError.code !== "unavailable") throw apiError;
    throw new SolsticeError("unavailable", `${where}, and its API at ${shown} cannot be reached.`, {
      remedy,
      cause: error,
    });
  }
  if (outcome.kind !== "moved") return outcome;
  throw new SolsticeError("unavailable", `${where}, but another host answers at ${shown}.`, {
    remedy,
  });
}

function report(jobId: string, outcome: Outcome, context: CliContext): void {
  if (outcome.kind === "moved") return;
  const { ended } = outcome.kind === "ended" ? outcome : { ended: null };
  const isOver = ended?.reason === "hold_over";
  if (ended && ended.reason !== "exited") context.stderr.write(`\n${oneLine(ended.message)}\n`);
  if (!isOver && context.stdout.isTTY) {
    context.stderr.write(
      `\nThe guest stays until its hold ends. Enter it again: solstice shell ${jobId}. Remove it: solstice release ${jobId}\n`,
    );
  }
  if (ended) context.setExitCode(ended.exitCode ?? exitCodes.failure);
}
