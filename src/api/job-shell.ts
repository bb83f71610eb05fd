import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import type { ShellOrders } from "../attempts/runner-hold.ts";
import { isSolsticeError, SolsticeError } from "../core/errors.ts";
import { holdEndsAt } from "../core/job/hold.ts";
import type { Job, Machine } from "../core/job/job.ts";
import { parseTerm, parseWindow, type ShellOrder, type WindowSize } from "../core/job/shell-order.ts";
import type { ShellOpen, ShellRequest, ShellResponseSchema } from "../gen/solstice/v1/jobs_pb.ts";
import { unreadableError } from "../http/unreadable.ts";
import { listHosts } from "../store/hosts/hosts.ts";
import { getMachine } from "../store/jobs/machines.ts";
import type { Store } from "../store/store.ts";
import { lookUpJob } from "./job-lookup.ts";

/** The reason of a shell's end. Only `exited` has an exit code. */
export interface ShellEnd {
  readonly reason: "exited" | "taken_over" | "hold_over" | "idle" | "too_long" | "lost";
  readonly message: string;
  readonly exitCode: number | null;
}

/** An open shell in a guest on hold. */
export interface ShellSession {
  /** The shell's output, then the reason of its end. Can be read only once. */
  events(): AsyncIterable<Uint8Array | ShellEnd>;
  /** Sends input; resolves when there is room for more. */
  write(bytes: Uint8Array): Promise<void>;
  endInput(): Promise<void>;
  resize(size: WindowSize): void;
  /** Closes the shell; the guest stays. Idempotent. */
  close(): void;
}

/** The shells in guests of this host. */
export interface Shells extends ShellOrders {
  /** Opens a shell in the guest. A shell that is already open there is ended. */
  open(
    attempt: { readonly job: Job; readonly machine: Machine },
    order: Omit<ShellOrder, "number">,
  ): Promise<ShellSession>;
}

/** The dependencies of {@link serveShell}. */
export interface ShellContext {
  readonly store: Store;
  readonly now: () => number;
  /** The host that serves this API. */
  readonly hostId: string;
  readonly shells: Shells;
  /** Maximum time until the first message of a call of `Shell`, in ms; default: {@link openTimeoutMs}. */
  readonly shellOpenTimeoutMs?: number;
}

type Response = MessageInitShape<typeof ShellResponseSchema>;

/** See {@link ShellContext.shellOpenTimeoutMs}. */
const openTimeoutMs = 15_000;

/** Maximum input of one message, in bytes. */
const inputBytes = 64 * 1024;

/** Serves one call of `Shell`, from the first message to the end. */
export async function* serveShell(
  context: ShellContext,
  requests: AsyncIterable<ShellRequest>,
  signal: AbortSignal,
): AsyncGenerator<Response> {
  const input = requests[Symbol.asyncIterator]();
  const open = await firstMessage(input, signal, context.shellOpenTimeoutMs ?? openTimeoutMs);
  const order = {
    term: parseTerm(open.term),
    ...parseWindow(open.size),
    mode: open.plain ? "plain" : "terminal",
  } as const;
  const { job, machine, untilAt } = await findOnHold(context, open.jobId);
  if (machine.hostId !== context.hostId) {
    yield { kind: { case: "moved", value: await whereIs(context, machine.hostId) } };
    return;
  }
  const session = await context.shells.open({ job, machine }, order);
  const close = () => session.close();
  signal.addEventListener("abort", close, { once: true });
  try {
    yield { kind: { case: "opened", value: { jobId: job.id, untilMs: BigInt(untilAt) } } };
    let problem: Error | null = null;
    void takeInput(input, session).then((error) => {
      problem = error;
      if (error) session.close();
    });
    for await (const event of session.events()) {
      if (problem && !(event instanceof Uint8Array)) throw problem;
      yield responseOf(event);
    }
  } finally {
    signal.removeEventListener("abort", close);
    session.close();
  }
}

async function firstMessage(
  input: AsyncIterator<ShellRequest>,
  signal: AbortSignal,
  timeoutMs: number,
): Promise<ShellOpen> {
  const late = Promise.withResolvers<never>();
  const refuse = () =>
    late.reject(new SolsticeError("usage", "The first message must open a shell, without delay."));
  const timer = setTimeout(refuse, timeoutMs);
  signal.addEventListener("abort", refuse, { once: true });
  try {
    const { value, done } = await Promise.race([input.next(), late.promise]);
    if (!done && value.kind.case === "open") return value.kind.value;
    throw new SolsticeError("usage", "The first message must open a shell.");
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", refuse);
  }
}

async function findOnHold({ store, now }: ShellContext, jobId: string) {
  const job = await lookUpJob(store, jobId);
  const machine = await getMachine(store, { jobId: job.id, attempt: job.attempt });
  const untilAt = machine && holdEndsAt(job, machine, now());
  if (machine && untilAt) return { job, machine, untilAt };
  const requested = job.request.hold_on_failure_seconds !== undefined;
  throw new SolsticeError("conflict", `Job ${job.id} is ${job.state}, and its guest is not on hold.`, {
    remedy: requested
      ? "A shell can be opened from the failure of the job until its hold ends: see `solstice jobs JOB`."
      : "Send the job again with `solstice enqueue --hold-on-failure 30m`: a guest is kept only when its job requests a hold.",
  });
}

async function whereIs({ store }: ShellContext, hostId: string) {
  const host = (await listHosts(store)).find((one) => one.hostId === hostId);
  return { hostId, apiUrl: host?.facts.apiUrl ?? "" };
}

function responseOf(event: Uint8Array | ShellEnd): Response {
  if (event instanceof Uint8Array) return { kind: { case: "output", value: event } };
  const { exitCode, ...reported } = event;
  return { kind: { case: "ended", value: exitCode === null ? reported : { ...reported, exitCode } } };
}

/** Protocol errors for frames that are too long or cannot be read: mistakes of the caller. */
const callersMistakes = [Code.ResourceExhausted, Code.InvalidArgument];

/**
 * Passes input on to the shell. A disconnect of the caller ends the shell. Invalid input also ends the shell,
 * and its error is returned.
 */
async function takeInput(input: AsyncIterator<ShellRequest>, session: ShellSession): Promise<Error | null> {
  try {
    for (let next = await input.next(); !next.done; next = await input.next()) {
      const { kind } = next.value;
      if (kind.case === "input" && kind.value.length <= inputBytes) await session.write(kind.value);
      else if (kind.case === "size") session.resize(parseWindow(kind.value));
      else
        throw new SolsticeError(
          "usage",
          "After the first message, only input of at most 64 KiB and window sizes are accepted.",
        );
    }
    await session.endInput();
  } catch (error) {
    if (isSolsticeError(error)) return error;
    const problem = unreadableError(error);
    if (problem) return problem;
    if (error instanceof ConnectError && callersMistakes.includes(error.code)) return error;
    session.close();
  }
  return null;
}
