import { bearerToken, hashToken } from "../access/bearer.ts";
import { errorText, isSolsticeError, SolsticeError } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import { type NodeHandler, type NodeRequest, pathOf } from "../http/node-http.ts";
import { refuse } from "../http/refusal.ts";
import { hasRunnerToken, type RunnerTokenKind } from "../store/jobs/attempts.ts";
import type { Store } from "../store/store.ts";
import { refusedGuest } from "./runner-sessions.ts";

/** The dependencies of {@link createRunnerGate}. */
export interface RunnerGateOptions {
  readonly store: Store;
  readonly log: Log;
}

/** Milliseconds for which a valid token is cached, and the maximum number of cached tokens. */
const cachedMs = 5000;
const cachedMax = 1000;

const servicePath = "/solstice.v1.RunnerService/";

/**
 * Checks a call's token before its body is read: without the token of a running attempt, no caller can make
 * this process store or parse a message. The handlers decide what a token allows; this gate only refuses
 * unknown callers.
 */
export function createRunnerGate(options: RunnerGateOptions, handler: NodeHandler): NodeHandler {
  const remembered = new Map<string, number>();
  return (request, response) => {
    if (!pathOf(request).startsWith(servicePath)) return handler(request, response);
    letIn(options, remembered, request).then(
      (isIn) => {
        if (response.destroyed) return;
        if (isIn) handler(request, response);
        else refuse(response, refusedGuest());
      },
      (error: unknown) => {
        if (!isSolsticeError(error)) options.log.error({ err: error }, "The lookup of a token failed.");
        if (response.destroyed) return;
        const failed = new SolsticeError(
          "store_failed",
          `The lookup of the token failed: ${errorText(error)}`,
        );
        refuse(response, isSolsticeError(error) ? error : failed);
      },
    );
  };
}

async function letIn(
  { store }: RunnerGateOptions,
  remembered: Map<string, number>,
  request: NodeRequest,
): Promise<boolean> {
  const token = bearerToken(request.headers.authorization);
  if (token === null) return false;
  const kind: RunnerTokenKind = pathOf(request) === `${servicePath}Start` ? "bootstrap" : "session";
  const hash = hashToken(token);
  const key = `${kind} ${hash}`;
  const now = performance.now();
  if ((remembered.get(key) ?? 0) > now) return true;
  remembered.delete(key);
  if (!(await hasRunnerToken(store, kind, hash))) return false;
  const oldest = remembered.keys().next();
  if (remembered.size >= cachedMax && !oldest.done) remembered.delete(oldest.value);
  remembered.set(key, now + cachedMs);
  return true;
}
