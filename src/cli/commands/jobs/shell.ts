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
import { converse, type Outcome } from "../../shell/converse.ts";
import { escapeHelp } from "../../shell/escape.ts";

/** `solstice shell JOB`: enters the guest of a failed job that is on hold. */
export const registerShell: RegisterCommand = (program, context) => {
  const command = program
    .command("shell <JOB>")
    .summary("enter the guest of a failed job that is on hold")
    .description(
      "A terminal in the guest of a failed job, where the job asked for that (enqueue --hold-on-failure): in the " +
        "checkout, with the environment of the steps. Without a terminal at this end it reads commands from standard " +
        "input and prints what they print. Leaving does not release the guest: it stays until its hold ends, or " +
        "`solstice release JOB`.",
    );
  addClientOptions(command)
    .addHelpText(
      "after",
      examplesText([
        ["solstice shell 7k3m", "look around in the guest of the job whose id begins with 7k3m"],
        ["echo 'cat build/log.txt' | solstice shell 7k3m > log.txt", "get something out of it"],
        ["solstice release 7k3m", "done: remove the guest"],
      ]) + notes,
    )
    .action(async (jobId: string) => {
      await enter(jobId, { context, session: await openSession(command, context) });
    });
};

const notes = `
${escapeHelp} A guest has one shell at a time: a new one
takes the place of another, whose owner is told. Exits with what the shell exits with; 0 after "~.", ${exitCodes.failure} where it ended
otherwise.
`;

interface Means {
  readonly context: CliContext;
  readonly session: ApiSession;
}

async function enter(jobId: string, means: Means): Promise<void> {
  // A wrong job is told in the words of every other command, and the job's whole id is known.
  const { job } = await means.session.ask((client, options) => client.get({ jobId }, options));
  const id = job?.id ?? jobId;
  let outcome = await converseAt(means.session.apiUrl, id, means);
  if (outcome.kind === "moved") outcome = await converseElsewhere(outcome.moved, id, means);
  report(id, outcome, means.context);
}

async function converseAt(apiUrl: string, jobId: string, { context, session }: Means): Promise<Outcome> {
  const { stdin, stdout, stderr } = context;
  const terminal = stdin instanceof ReadStream && stdout.isTTY ? stdin : null;
  const onOpened = (openedId: string, untilMs: number) => {
    if (terminal === null) return;
    stderr.write(
      `Entered the guest of job ${oneLine(openedId)}, which is kept until ${timeText(untilMs)}. ${escapeHelp}\n`,
    );
  };
  try {
    return await converse({ context, client: session.twoWay(apiUrl), jobId, terminal, onOpened });
  } catch (error) {
    throw fromApiError(error, apiUrl);
  }
}

/** One host sends to another once; one that is sent to must have the guest. */
async function converseElsewhere(
  { hostId, apiUrl }: ShellMoved,
  jobId: string,
  means: Means,
): Promise<Outcome> {
  const shown = oneLine(shownUrl(apiUrl));
  const where = `The guest of job ${jobId} is on host ${oneLine(hostId)}`;
  const remedy = `Run \`solstice shell ${jobId}\` there, or let its API be reached from here (API_LISTEN).`;
  if (!/^https?:\/\//.test(apiUrl))
    throw new SolsticeError("unavailable", `${where}, which told no API.`, { remedy });
  let outcome: Outcome;
  try {
    outcome = await converseAt(apiUrl, jobId, means);
  } catch (error) {
    const known = fromApiError(error, apiUrl);
    if (known.code !== "unavailable") throw known;
    throw new SolsticeError("unavailable", `${where}, and its API at ${shown} cannot be reached.`, {
      remedy,
      cause: error,
    });
  }
  if (outcome.kind !== "moved") return outcome;
  throw new SolsticeError("unavailable", `${where}, but what answers at ${shown} is another host.`, {
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
