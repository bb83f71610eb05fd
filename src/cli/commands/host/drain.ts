import { setTimeout as sleep } from "node:timers/promises";
import { Option } from "commander";
import type { DrainResponse } from "../../../gen/solstice/v1/jobs_pb.ts";
import { askPatiently } from "../../api/api-retry.ts";
import type { ApiSession } from "../../api/api-session.ts";
import { addClientOptions, examplesText, openSession, type RegisterCommand } from "../../command.ts";
import type { CliContext } from "../../context.ts";
import { reportOnSignals } from "../../follow/wait-and-report.ts";
import { parseTime } from "../../option-flags.ts";
import { exitCodes } from "../../print/exit-codes.ts";
import { write, writeJson } from "../../print/output.ts";
import { oneLine } from "../../print/text.ts";

/** How often the host is asked what still runs there, in ms. */
const lookMs = 1000;

interface DrainFlags {
  readonly end?: true;
  readonly wait: boolean;
  /** Seconds. */
  readonly timeout?: number;
  readonly json?: true;
}

/** `solstice drain`: empties the host of the orchestrator that answers. */
export const registerDrain: RegisterCommand = (program, context) => {
  const command = program
    .command("drain")
    .summary("have a host start no more jobs, and wait until it is empty")
    .description(
      "Has the host of the orchestrator that answers start no more jobs, and waits until those that run there have ended. " +
        "Waiting jobs stay in the store for other hosts, or for this one. The drain lasts, also over restarts of the " +
        "orchestrator, until --end. Exits 124 when --timeout is over first.",
    )
    .addOption(new Option("--end", "have the host take jobs again").conflicts(["wait", "timeout"]))
    .addOption(new Option("--no-wait", "do not wait until the host is empty").conflicts("timeout"))
    .option(
      "--timeout <TIME>",
      "how long to wait at most, such as 30m; the drain goes on after that",
      parseTime,
    );
  addClientOptions(command)
    .addHelpText(
      "after",
      examplesText([
        [
          "solstice drain && systemctl stop solstice-orchestrator",
          "stop this host for good, or before a reboot",
        ],
        ["solstice drain --end", "take jobs again"],
        ["solstice drain --no-wait --json | jq '.jobs | length'", "how many jobs still run"],
      ]),
    )
    .action(async (flags: DrainFlags) => {
      const session = await openSession(command, context);
      const action = flags.end ? "end" : "start";
      const answer = await session.ask((client, options) => client.drain({ action }, options));
      const isWaiting = flags.wait && !flags.end && answer.jobs.length > 0;
      const last = isWaiting ? await untilEmpty(answer, { context, session, flags }) : answer;
      const isOver = isWaiting && last.jobs.length > 0;
      if (flags.json) await writeJson(context.stdout, drainDocument(last));
      else await write(context.stdout, isOver ? overText(last) : outcomeText(last));
      if (isOver) context.setExitCode(exitCodes.timedOut);
    });
};

/** Asks until nothing runs there, `--timeout` is over, or somebody ended the drain. An orchestrator that restarts is waited for. */
async function untilEmpty(
  first: DrainResponse,
  { context, session, flags }: { context: CliContext; session: ApiSession; flags: DrainFlags },
): Promise<DrainResponse> {
  const say = (text: string) => write(flags.json ? context.stderr : context.stdout, text);
  const stopReporting = reportOnSignals(goesOnText, context);
  const endsAt =
    flags.timeout === undefined ? Number.POSITIVE_INFINITY : performance.now() + flags.timeout * 1000;
  let answer = first;
  let reported = "";
  while (answer.jobs.length > 0 && answer.drainingSinceMs !== 0n && performance.now() < endsAt) {
    const text = waitingText(answer);
    if (text !== reported) await say(text);
    reported = text;
    await sleep(Math.max(0, Math.min(lookMs, endsAt - performance.now())));
    const onLost = (message: string) => void say(`${message} Trying again.\n`);
    answer = await askPatiently({ session, onLost }, (client, options) => client.drain({}, options));
  }
  stopReporting();
  return answer;
}

const goesOnText =
  "The drain goes on. Wait again with: solstice drain\nTake jobs again with: solstice drain --end\n";

/** The most jobs that are listed in one message. */
const jobsShownMax = 20;

function waitingText({ hostId, jobs }: DrainResponse): string {
  const lines = jobs.slice(0, jobsShownMax).map(({ id, label, state, onHold }) => {
    const hold = `on hold; solstice release ${oneLine(id)} removes its guest`;
    return `  ${oneLine(id)} (${oneLine(label)}, ${onHold ? hold : oneLine(state)})\n`;
  });
  const more = jobs.length > jobsShownMax ? `  and ${jobs.length - jobsShownMax} more\n` : "";
  return `Host ${oneLine(hostId)} starts no more jobs. ${countText(jobs.length)} left there:\n${lines.join("")}${more}`;
}

function countText(count: number): string {
  return count === 1 ? "1 job is" : `${count} jobs are`;
}

/** After a wait that ended before the host was empty. The jobs have been listed while it lasted. */
function overText(answer: DrainResponse): string {
  if (answer.drainingSinceMs === 0n) return outcomeText(answer);
  return `The time to wait is over: ${countText(answer.jobs.length)} left on host ${oneLine(answer.hostId)}. ${goesOnText}`;
}

function outcomeText(answer: DrainResponse): string {
  const host = `Host ${oneLine(answer.hostId)}`;
  if (answer.drainingSinceMs === 0n) return `${host} takes jobs.\n`;
  if (answer.jobs.length > 0) return waitingText(answer) + goesOnText;
  return (
    `${host} is empty and starts no more jobs. Stop it now (systemctl stop solstice-orchestrator), or take jobs ` +
    "again: solstice drain --end\n"
  );
}

function drainDocument({ hostId, drainingSinceMs, jobs }: DrainResponse) {
  return {
    host_id: hostId,
    draining_since_ms: drainingSinceMs === 0n ? null : Number(drainingSinceMs),
    jobs: jobs.map(({ id, label, state, onHold }) => ({ id, label, state, on_hold: onHold })),
  };
}
