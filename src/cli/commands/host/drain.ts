import { setTimeout as sleep } from "node:timers/promises";
import { Option } from "commander";
import type { DrainResponse } from "../../../gen/solstice/v1/jobs_pb.ts";
import { callWithRetry } from "../../api/api-retry.ts";
import type { ApiSession } from "../../api/api-session.ts";
import { addClientOptions, examplesText, openSession, type RegisterCommand } from "../../command.ts";
import type { CliContext } from "../../context.ts";
import { reportOnSignals } from "../../follow/wait-and-report.ts";
import { parseTime } from "../../option-flags.ts";
import { exitCodes } from "../../print/exit-codes.ts";
import { write, writeJson } from "../../print/output.ts";
import { oneLine } from "../../print/text.ts";

/** Interval between two queries of the jobs that still run, in ms. */
const pollMs = 1000;

interface DrainFlags {
  readonly end?: true;
  readonly wait: boolean;
  /** Seconds. */
  readonly timeout?: number;
  readonly json?: true;
}

/** `solstice drain`: empties the host of the orchestrator that the API belongs to. */
export const registerDrain: RegisterCommand = (program, context) => {
  const command = program
    .command("drain")
    .summary("stop starting jobs on a host, and wait until it is empty")
    .description(
      "The host of the orchestrator that answers starts no more jobs, and the command waits until its running jobs have ended. " +
        "Queued jobs stay in the store for other hosts, or for this host later. The drain lasts until --end, also over restarts " +
        "of the orchestrator. Exits 124 when --timeout expires first.",
    )
    .addOption(new Option("--end", "let the host take jobs again").conflicts(["wait", "timeout"]))
    .addOption(new Option("--no-wait", "do not wait until the host is empty").conflicts("timeout"))
    .option(
      "--timeout <TIME>",
      "longest time to wait, such as 30m; the drain continues after that",
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
      const answer = await session.call((client, options) => client.drain({ action }, options));
      const isWaiting = flags.wait && !flags.end && answer.jobs.length > 0;
      const last = isWaiting ? await untilEmpty(answer, { context, session, flags }) : answer;
      const isOver = isWaiting && last.jobs.length > 0;
      if (flags.json) await writeJson(context.stdout, drainDocument(last));
      else await write(context.stdout, isOver ? overText(last) : outcomeText(last));
      if (isOver) context.setExitCode(exitCodes.timedOut);
    });
};

/** Polls until the host is empty, `--timeout` expires, or the drain is ended. Survives restarts of the orchestrator. */
async function untilEmpty(
  first: DrainResponse,
  { context, session, flags }: { context: CliContext; session: ApiSession; flags: DrainFlags },
): Promise<DrainResponse> {
  const print = (text: string) => write(flags.json ? context.stderr : context.stdout, text);
  const stopReporting = reportOnSignals(continuesText, context);
  const endsAt =
    flags.timeout === undefined ? Number.POSITIVE_INFINITY : performance.now() + flags.timeout * 1000;
  let answer = first;
  let printed = "";
  while (answer.jobs.length > 0 && answer.drainingSinceMs !== 0n && performance.now() < endsAt) {
    const text = waitingText(answer);
    if (text !== printed) await print(text);
    printed = text;
    await sleep(Math.max(0, Math.min(pollMs, endsAt - performance.now())));
    const onLost = (message: string) => void print(`${message} Retrying.\n`);
    answer = await callWithRetry({ session, onLost }, (client, options) => client.drain({}, options));
  }
  stopReporting();
  return answer;
}

const continuesText =
  "The drain continues. Wait again with: solstice drain\nTake jobs again with: solstice drain --end\n";

/** Most jobs in one message. */
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

/** The text after `--timeout` expired. The jobs were listed during the wait. */
function overText(answer: DrainResponse): string {
  if (answer.drainingSinceMs === 0n) return outcomeText(answer);
  return `--timeout expired: ${countText(answer.jobs.length)} left on host ${oneLine(answer.hostId)}. ${continuesText}`;
}

function outcomeText(answer: DrainResponse): string {
  const host = `Host ${oneLine(answer.hostId)}`;
  if (answer.drainingSinceMs === 0n) return `${host} takes jobs.\n`;
  if (answer.jobs.length > 0) return waitingText(answer) + continuesText;
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
