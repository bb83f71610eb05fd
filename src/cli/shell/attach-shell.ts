import type { ReadStream } from "node:tty";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ShellEnded, ShellMoved, ShellRequestSchema } from "../../gen/solstice/v1/jobs_pb.ts";
import type { JobClient } from "../api/api-session.ts";
import type { CliContext } from "../context.ts";
import { write } from "../print/output.ts";
import { EscapeFilter } from "./escape.ts";
import { takeTerminal } from "./local-terminal.ts";
import { MessageQueue } from "./message-queue.ts";

type Request = MessageInitShape<typeof ShellRequestSchema>;

/** Most bytes of one message; the API takes twice as much. */
const pieceBytes = 32 * 1024;

/** End of a shell: `ended` in the guest, `left` by the person, or `moved`, when the job's guest is on another host. */
export type Outcome =
  | { readonly kind: "ended"; readonly ended: ShellEnded }
  | { readonly kind: "left" }
  | { readonly kind: "moved"; readonly moved: ShellMoved };

/** Options of {@link attachShell}. */
export interface AttachShellOptions {
  readonly context: CliContext;
  readonly client: JobClient;
  readonly jobId: string;
  /** The person's terminal; null when commands come from a pipe. */
  readonly terminal: ReadStream | null;
  /** Called when the guest is entered, before any output. */
  readonly onOpened: (jobId: string, untilMs: number) => void;
}

/** Opens a shell in a guest and forwards input and output until one side ends it. Throws errors of the API's client. */
export async function attachShell({
  context,
  client,
  jobId,
  terminal,
  onOpened,
}: AttachShellOptions): Promise<Outcome> {
  const requests = new MessageQueue<Request>();
  const leaving = new AbortController();
  const { stdout, env } = context;
  const { rows = 0, columns = 0 } = stdout as { rows?: number; columns?: number };
  const open = {
    jobId,
    term: terminal ? (env.TERM ?? "") : "",
    size: { rows, columns },
    plain: terminal === null,
  };
  requests.push({ kind: { case: "open", value: open } });
  let stop: () => void = () => {};
  try {
    for await (const { kind } of client.shell(requests, { signal: leaving.signal })) {
      if (kind.case === "opened") {
        onOpened(kind.value.jobId, Number(kind.value.untilMs));
        const leave = () => leaving.abort();
        stop = terminal
          ? connectTerminal({ context, terminal, requests, leave })
          : connectPipe(context.stdin, requests);
      } else if (kind.case === "output") await write(stdout, kind.value);
      else if (kind.case === "moved") return { kind: "moved", moved: kind.value };
      else if (kind.case === "ended") return { kind: "ended", ended: kind.value };
    }
    throw new Error("The API ended the shell without a reason.");
  } catch (error) {
    if (leaving.signal.aborted) return { kind: "left" };
    throw error;
  } finally {
    stop();
    requests.end();
  }
}

function connectTerminal(parts: {
  readonly context: CliContext;
  readonly terminal: ReadStream;
  readonly requests: MessageQueue<Request>;
  readonly leave: () => void;
}): () => void {
  const { context, terminal, requests, leave } = parts;
  const { stdout } = context;
  const local = takeTerminal(terminal, stdout as { rows?: number; columns?: number });
  const filter = new EscapeFilter();
  const type = (typed: Buffer) => {
    const { bytes, leaves } = filter.push(typed);
    pushInput(terminal, requests, bytes);
    if (leaves) leave();
  };
  const resize = () => {
    const { rows = 0, columns = 0 } = stdout as { rows?: number; columns?: number };
    requests.push({ kind: { case: "size", value: { rows, columns } } });
  };
  terminal.on("data", type);
  // The terminal is closed.
  terminal.once("end", leave);
  stdout.on("resize", resize);
  return () => {
    terminal.off("data", type).off("end", leave).pause();
    stdout.off("resize", resize);
    local.restore();
  };
}

function connectPipe(input: NodeJS.ReadableStream, requests: MessageQueue<Request>): () => void {
  const type = (typed: Buffer | string) => pushInput(input, requests, Buffer.from(typed as string));
  const end = () => requests.end();
  input.on("data", type).once("end", end).once("error", end);
  return () => {
    input.off("data", type).off("end", end).off("error", end).pause();
  };
}

/** Queues input as messages, and pauses the source while the queue is full. */
function pushInput(source: NodeJS.ReadableStream, requests: MessageQueue<Request>, bytes: Buffer): void {
  let hasFreeSlot = true;
  for (let start = 0; start < bytes.length; start += pieceBytes) {
    const value = bytes.subarray(start, start + pieceBytes);
    hasFreeSlot = requests.push({ kind: { case: "input", value } }, value.length);
  }
  if (hasFreeSlot) return;
  source.pause();
  requests.onDrain(() => void source.resume());
}
