import { createHash, randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { backoffMs } from "../../core/backoff.ts";
import type { GuestSpec } from "../hypervisor.ts";

const CALL_TIMEOUT_MS = 30_000;
/** Time for which a call without an answer, or with an unavailable store, is retried: the same as in the real runner. */
const PATIENCE_MS = 60 * 60_000;
const RETRY_BACKOFF = { firstMs: 200, maxMs: 2000 };
const DEFAULT_HEARTBEAT_SECONDS = 10;

/** An answer that a retry does not change. */
class Refusal extends Error {}

/** Options of {@link runBuiltInRunner}. */
export interface BuiltInRunnerOptions {
  readonly runner: GuestSpec["runner"];
  /** Duration of the simulated job. */
  readonly delayMs: number;
  /** Aborted when the guest is powered off. */
  readonly signal: AbortSignal;
}

/**
 * Simulates a runner whose job succeeds: Start, one line of log, a wait with heartbeats, Finish. Uses Connect JSON as
 * in `proto/solstice/v1/runner.proto`. Rejects when the endpoint refuses, does not answer for an hour, or the guest is
 * powered off.
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

/** Waits for the job's simulated duration, or until a stop. */
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
    // A 4xx will be the same next time, except 429 (too many at once), which is temporary.
    const isFinal = response.status < 500 && response.status !== 429;
    throw isFinal ? new Refusal(problem) : new Error(problem);
  }
  return JSON.parse(text);
}
