import { Writable } from "node:stream";
import { type DestinationStream, type Logger, pino } from "pino";
import { terminalText } from "../core/text/terminal-text.ts";

/** The maximum length of an error text in one line, so that a foreign message cannot fill a disk. */
const maxErrorChars = 4000;

/** Creates a log on stderr: readable text for a terminal, otherwise one JSON object per line. */
export async function createLogger(level: string): Promise<Logger> {
  const destination: DestinationStream = process.stderr.isTTY
    ? await prettyDestination()
    : pino.destination({ fd: 2, sync: true });
  return pino({ level, serializers: { err: describeError } }, destination);
}

async function prettyDestination(): Promise<DestinationStream> {
  const { default: pretty } = await import("pino-pretty");
  // Messages quote requests, guests and servers: escape sequences in them must not reach the operator's
  // terminal.
  const destination = new Writable({
    decodeStrings: false,
    write: (text: string, _encoding, done) => void process.stderr.write(terminalText(text), done),
  });
  return pretty({ destination, colorize: true, ignore: "pid,hostname", translateTime: "SYS:HH:MM:ss" });
}

/** Our own errors are complete sentences; a stack is logged only for unexpected errors. */
function describeError(error: unknown): object {
  if (!(error instanceof Error)) return { message: String(error).slice(0, maxErrorChars) };
  const { name, message, stack } = error;
  const code = "code" in error ? String(error.code) : undefined;
  const remedy = "remedy" in error ? error.remedy : undefined;
  const cause = error.cause instanceof Error ? error.cause.message.slice(0, maxErrorChars) : undefined;
  const expected = name === "SolsticeError" && code !== "internal";
  return { code, message: message.slice(0, maxErrorChars), remedy, cause, ...(!expected && { name, stack }) };
}
