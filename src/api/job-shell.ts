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

/** Why a shell ended; only with `exited` there is an exit code. */
export interface ShellEnd {
  readonly reason: "exited" | "taken_over" | "hold_over" | "idle" | "too_long" | "lost";
  readonly message: string;
  readonly exitCode: number | null;
}

/** A shell of somebody in a guest on hold. */
export interface ShellSession {
  /** What it shows, and at last why it ended. To be read once. */
  events(): AsyncIterable<Uint8Array | ShellEnd>;
  /** Types; resolves when there is room for more. */
  write(bytes: Uint8Array): Promise<void>;
  endInput(): Promise<void>;
  resize(size: WindowSize): void;
  /** Ends it from our side: the guest stays. Repeats are fine. */
  close(): void;
}

/** The shells in guests of this host. */
export interface Shells extends ShellOrders {
  /** Opens one in place of the one that there is. */
  open(
    attempt: { readonly job: Job; readonly machine: Machine },
    order: Omit<ShellOrder, "number">,
  ): Promise<ShellSession>;
}

/** What {@link serveShell} needs. */
export interface ShellContext {
  readonly store: Store;
  readonly now: () => number;
  /** The host that serves this API. */
  readonly hostId: string;
  readonly shells: Shells;
  /** How long a caller of `Shell` may take to say what it wants, in ms; default: {@link openTimeoutMs}. */
  readonly shellOpenTimeoutMs?: number;
}

type Response = MessageInitShape<typeof ShellResponseSchema>;

/** See {@link ShellContext.shellOpenTimeoutMs}. */
const openTimeoutMs = 15_000;

/** Most input of one message, in bytes. */
const inputBytes = 64 * 1024;

/** One call of `Shell`, from the message that opens to the end. */
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
    void takeInput(input, session).then((wrong) => {
      problem = wrong;
      if (wrong) session.close();
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
    late.reject(new SolsticeError("usage", "The first message must open a shell, and come at once."));
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
      ? "A guest can be entered from the failure of its job until its hold ends: `solstice jobs JOB` tells."
      : "Send the job again with `solstice enqueue --hold-on-failure 30m`: a guest is kept only when its job asks for it.",
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

/** What the protocol itself says of frames that are too long, or none. */
const callersMistakes = [Code.ResourceExhausted, Code.InvalidArgument];

/** Hands on what is typed. A caller that goes away ends its shell; what makes no sense does too, and is returned. */
async function takeInput(input: AsyncIterator<ShellRequest>, session: ShellSession): Promise<Error | null> {
  try {
    for (let next = await input.next(); !next.done; next = await input.next()) {
      const { kind } = next.value;
      if (kind.case === "input" && kind.value.length <= inputBytes) await session.write(kind.value);
      else if (kind.case === "size") session.resize(parseWindow(kind.value));
      else
        throw new SolsticeError(
          "usage",
          "Only input of at most 64 KiB and sizes come after the first message.",
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
