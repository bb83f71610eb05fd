import { existsSync } from "node:fs";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { loadClientConfig, readNote } from "../../config/load-client-config.ts";
import { loadOrchestratorConfig } from "../../config/load-orchestrator-config.ts";
import type { RawFlags } from "../../config/options/read-options.ts";
import { SolsticeError } from "../../core/errors.ts";
import type { Backend } from "../../core/job/job.ts";
import { silentLog } from "../../core/log.ts";
import { type FindLeaksResponse, FindLeaksResponseSchema, type Leak } from "../../gen/solstice/v1/jobs_pb.ts";
import { readLockHolder, tryAcquireProcessLock } from "../../host/process-lock.ts";
import { readLastRun } from "../../orchestrator/last-run.ts";
import { openApiSession } from "../api/api-session.ts";
import type { CliContext, Output } from "../context.ts";
import { exitCodes } from "../print/exit-codes.ts";
import { paint, write, writeJson } from "../print/output.ts";
import { tableText } from "../print/table.ts";
import { oneLine } from "../print/text.ts";
import { likeLastRun } from "./like-last-run.ts";

/** Time limit of an audit, in ms: removing a guest takes one or two seconds, and there may be hundreds. */
const auditTimeoutMs = 10 * 60_000;

/** Options of {@link examineLeaks}. */
export interface LeakOptions {
  readonly fix: boolean;
  readonly json: boolean;
}

/**
 * `solstice doctor --leaks`: shows the differences between this host and the store. The orchestrator of this data directory
 * compares them; if none runs, the command does. Sets exit code 1 when a leak is left to repair.
 */
export async function examineLeaks(
  flags: RawFlags,
  context: CliContext,
  options: LeakOptions,
): Promise<void> {
  const { dataDir } = await loadClientConfig(flags, context.env);
  const audit = isHeld(join(dataDir, "orchestrator.lock")) ? auditByOrchestrator : auditDirectly;
  const answer = await audit(flags, context, { dataDir, fix: options.fix });
  const isClean = answer.leaks.every(isSettled) && answer.unread.length === 0;
  if (options.json) await writeJson(context.stdout, { ok: isClean, ...leaksDocument(answer) });
  else await write(context.stdout, leaksText(answer, context.stdout));
  if (!isClean) context.setExitCode(exitCodes.failure);
}

/** True when an orchestrator has locked the data directory. */
function isHeld(lockPath: string): boolean {
  if (!existsSync(lockPath)) return false;
  try {
    const lock = tryAcquireProcessLock(lockPath, "solstice doctor --leaks");
    lock?.release();
    return lock === null;
  } catch (error) {
    // A user without write permission cannot try the lock, but can call the orchestrator that the lock file names.
    if (readLockHolder(lockPath) !== null) return true;
    throw error;
  }
}

/** The differences, and the backend whose guests were compared; null if a running orchestrator has not recorded it. */
interface Answer extends Pick<FindLeaksResponse, "leaks" | "inventories" | "unread"> {
  readonly backend: Backend | null;
}

interface AuditOptions {
  readonly dataDir: string;
  readonly fix: boolean;
}

async function auditByOrchestrator(
  flags: RawFlags,
  context: CliContext,
  { dataDir, fix }: AuditOptions,
): Promise<Answer> {
  const note = await readNote(dataDir);
  if (note === null) {
    throw new SolsticeError("unavailable", `The orchestrator of ${dataDir} is just starting or stopping.`, {
      remedy: "Run the command again in a moment.",
    });
  }
  // The data directory selects the orchestrator, even if the environment names another API.
  const session = await openApiSession({ ...flags, dataDir }, context.env);
  const answer = await session.call((client, options) =>
    client.findLeaks({ fix }, { ...options, timeoutMs: auditTimeoutMs }),
  );
  return { ...answer, backend: readLastRun(dataDir)?.backend ?? null };
}

async function auditDirectly(
  flags: RawFlags,
  context: CliContext,
  { dataDir, fix }: AuditOptions,
): Promise<Answer> {
  const lastRun = readLastRun(dataDir);
  const settings = lastRun === null ? flags : likeLastRun(lastRun, { dataDir, flags, env: context.env });
  const config = await loadOrchestratorConfig(settings, context.env);
  // Loaded only here, as in `solstice orchestrator`: the other commands do not need this module.
  const { auditOffline } = await import("../../orchestrator/audit/offline-audit.ts");
  const { report, backend } = await auditOffline(config, { fix, log: silentLog });
  return { ...create(FindLeaksResponseSchema, report), backend };
}

/** True for a leak that is repaired, or that resolves automatically. */
function isSettled({ fixed, remedy }: Leak): boolean {
  return fixed || remedy === "none";
}

function leaksDocument({ backend, leaks, inventories, unread }: Answer) {
  return {
    backend,
    leaks: leaks.map((leak) => ({
      kind: leak.kind,
      name: leak.name,
      job_id: leak.jobId || null,
      cause: leak.cause,
      remedy: leak.remedy,
      fixed: leak.fixed,
      problem: leak.problem || null,
    })),
    inventories,
    unread: unread.map(({ inventory, problem }) => ({ inventory, problem })),
  };
}

function leaksText({ backend, leaks, inventories, unread }: Answer, output: Output): string {
  const notCompared = unread.map(
    ({ inventory, problem }) =>
      `${paint(output, "yellow", "Not compared completely:")} ${oneLine(inventory)}: ${oneLine(problem)}\n`,
  );
  const guests = backend === null ? "" : ` (backend ${backend})`;
  const compared = `${notCompared.join("")}Compared${guests}: ${inventories.map(oneLine).join(", ")}.`;
  if (leaks.length === 0) return `${compared} No differences.\n`;
  const head = ["KIND", "NAME", "JOB", "CAUSE", "REMEDY"];
  const rows = leaks.map((leak) => [
    oneLine(leak.kind),
    oneLine(leak.name),
    oneLine(leak.jobId) || "-",
    oneLine(leak.cause),
    remedyText(leak, output),
  ]);
  return `${tableText({ head, rows, flexible: [3, 4], whole: [1, 2], isWrapped: true }, output)}\n${compared} ${countText(leaks)}\n`;
}

function remedyText(leak: Leak, output: Output): string {
  if (leak.fixed) return paint(output, "green", `${oneLine(leak.remedy)}: done`);
  const problem = leak.problem ? `: ${oneLine(leak.problem)}` : "";
  return paint(output, isSettled(leak) ? "dim" : "yellow", oneLine(leak.remedy) + problem);
}

function countText(leaks: readonly Leak[]): string {
  const repaired = leaks.filter(({ fixed }) => fixed).length;
  const passing = leaks.filter(({ fixed, remedy }) => !fixed && remedy === "none").length;
  const parts = [
    ...(repaired > 0 ? [`${repaired} repaired`] : []),
    ...(passing > 0 ? [`${passing} will resolve automatically`] : []),
    `${leaks.length - repaired - passing} left`,
  ];
  return `${leaks.length} differences: ${parts.join(", ")}.`;
}
