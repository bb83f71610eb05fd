import { createHash, randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { backoffMs } from "../../core/backoff.ts";
import type { GuestSpec } from "../hypervisor.ts";

const CALL_TIMEOUT_MS = 30_000;
/** How long a call is repeated while nobody answers, or the store is away: as patient as the real runner. */
const PATIENCE_MS = 60 * 60_000;
const RETRY_BACKOFF = { firstMs: 200, maxMs: 2000 };
const DEFAULT_HEARTBEAT_SECONDS = 10;

/** An answer that repeating does not change. */
class Refusal extends Error {}

/** What {@link runBuiltInRunner} needs. */
export interface BuiltInRunnerOptions {
  readonly runner: GuestSpec["runner"];
  /** How long the pretended job takes. */
  readonly delayMs: number;
  /** Aborted when the guest loses power. */
  readonly signal: AbortSignal;
}

/**
 * Plays a runner whose job succeeds: Start, one line of log, a wait with signs of life, Finish. Speaks Connect JSON as
 * `proto/solstice/v1/runner.proto` says. Rejects when the endpoint refuses, does not answer for
 * an hour, or power is lost.
 */
export async function runBuiltInRunner(options: BuiltInRunnerOptions): Promise<void> {
  const { runner, signal } = options;
  const sessionToken = randomBytes(32).toString("hex");
  const started = await call("Start", {
    ...options,
    token: runner.bootstrapToken,
    body: { sessionToken, runnerVersion: "noop" },
  });
  const session = { ...options, token: sessionToken };
  const output = Buffer.from(`noop: pretended to run the job for ${options.delayMs} ms\n`);
  await call("AppendLog", { ...session, body: { offset: "0", data: output.toString("base64") } });
  await wait(session, {
    heartbeatMs: (Number(started.heartbeatSeconds) || DEFAULT_HEARTBEAT_SECONDS) * 1000,
    offset: String(output.length),
  });
  signal.throwIfAborted();
  const logSha256 = createHash("sha256").update(output).digest("hex");
  const body = { exitCode: 0, logLength: String(output.length), logSha256 };
  await call("Finish", { ...session, body });
}

type Session = BuiltInRunnerOptions & { readonly token: string };

/** Waits for the job's pretended length, or until it is told to stop. */
async function wait(session: Session, beat: { heartbeatMs: number; offset: string }): Promise<void> {
  const end = Date.now() + session.delayMs;
  for (;;) {
    const left = end - Date.now();
    await delay(Math.max(0, Math.min(left, beat.heartbeatMs)), undefined, { signal: session.signal });
    if (left <= beat.heartbeatMs) return;
    const { stop } = await call("AppendLog", { ...session, body: { offset: beat.offset } });
    if (stop === true) return;
  }
}

async function call(
  method: string,
  request: Session & { readonly body: object },
): Promise<Record<string, unknown>> {
  const end = Date.now() + PATIENCE_MS;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await post(method, request);
    } catch (error) {
      request.signal.throwIfAborted();
      if (error instanceof Refusal || Date.now() > end) throw error;
      await delay(backoffMs(attempt, RETRY_BACKOFF), undefined, { signal: request.signal });
    }
  }
}

async function post(
  method: string,
  { runner, token, body, signal }: Session & { readonly body: object },
): Promise<Record<string, unknown>> {
  const response = await fetch(`${runner.url.replace(/\/$/, "")}/solstice.v1.RunnerService/${method}`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
    body: JSON.stringify(body),
    signal: AbortSignal.any([signal, AbortSignal.timeout(CALL_TIMEOUT_MS)]),
  });
  const text = await response.text();
  if (!response.ok) {
    const problem = `${method} was answered with ${response.status}: ${text.slice(0, 300)}`;
    // 4xx will be the same next time, but for 429 (too many at once), which passes.
    const isFinal = response.status < 500 && response.status !== 429;
    throw isFinal ? new Refusal(problem) : new Error(problem);
  }
  return JSON.parse(text);
}
