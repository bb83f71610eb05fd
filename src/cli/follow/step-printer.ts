import type { JobStep } from "../../gen/solstice/v1/jobs_pb.ts";
import type { Output } from "../context.ts";
import { guestOutput, paint, write } from "../print/output.ts";
import { oneLine } from "../print/text.ts";
import { type LogPiece, skippedText } from "./follow-log.ts";

/** Writes a log with a heading where each step begins. Calls may overlap; their output stays in order. */
export interface StepPrinter {
  /** Updates the steps of `attempt`. Headings that are due at the current offset are written at once. */
  setSteps(attempt: number, steps: readonly JobStep[]): Promise<void>;
  /** Writes the next piece. */
  print(piece: LogPiece): Promise<void>;
  /** Writes headings of steps that had no output, and ends an unfinished line. */
  finish(): Promise<void>;
}

const newline = 10;

/** A printer to `output`. */
export function createStepPrinter(output: Output): StepPrinter {
  let steps: readonly JobStep[] = [];
  let attempt = 0;
  let offset = 0;
  let headings = 0;
  let atLineStart = true;
  let last = Promise.resolve();
  const guest = guestOutput(output);

  async function writeData(data: Uint8Array): Promise<void> {
    if (data.length === 0) return;
    await guest.write(data);
    offset += data.length;
    atLineStart = data.at(-1) === newline;
  }

  async function endLine(): Promise<void> {
    await guest.end();
    if (!atLineStart) await write(output, "\n");
    atLineStart = true;
  }

  async function writeHeadings(): Promise<void> {
    for (let step = steps[headings]; isDue(step, offset); step = steps[headings]) {
      headings += 1;
      await endLine();
      await write(output, `${paint(output, "bold", `==> ${oneLine(step.name)}`)}\n`);
    }
  }

  async function beginAttempt(next: number): Promise<void> {
    if (next === attempt) return;
    await endLine();
    if (attempt > 0) await write(output, `${paint(output, "bold", `==> attempt ${next}`)}\n`);
    [attempt, offset, headings, steps] = [next, 0, 0, []];
  }

  async function printPiece(piece: LogPiece): Promise<void> {
    await beginAttempt(piece.attempt);
    let data = piece.data;
    if (piece.skipped > 0) await writeSkipped(piece);
    await writeHeadings();
    for (let start = startOf(steps[headings]); start !== null && start < offset + data.length; ) {
      const before = data.subarray(0, start - offset);
      data = data.subarray(before.length);
      await writeData(before);
      await writeHeadings();
      start = startOf(steps[headings]);
    }
    await writeData(data);
  }

  /** Writes the line for missing bytes. Headings of steps that began within them follow that line. */
  async function writeSkipped(piece: LogPiece): Promise<void> {
    await guest.end();
    await write(output, skippedText(piece));
    atLineStart = true;
    offset = piece.offset;
  }

  function inOrder(work: () => Promise<void>): Promise<void> {
    last = last.then(work);
    return last;
  }

  return {
    setSteps: (ofAttempt, now) =>
      inOrder(async () => {
        // Otherwise the headings of a new attempt would appear in the log of the previous attempt.
        if (ofAttempt !== attempt && attempt !== 0) return;
        attempt = ofAttempt;
        // Only steps that have begun have an offset. Steps begin in order, so `headings` stays valid.
        steps = now.filter((step) => step.logStart !== undefined);
        await writeHeadings();
      }),
    print: (piece) => inOrder(() => printPiece(piece)),
    finish: () =>
      inOrder(async () => {
        await writeHeadings();
        await endLine();
      }),
  };
}

function startOf(step: JobStep | undefined): number | null {
  return step?.logStart === undefined ? null : Number(step.logStart);
}

function isDue(step: JobStep | undefined, offset: number): step is JobStep {
  const start = startOf(step);
  return start !== null && start <= offset;
}
