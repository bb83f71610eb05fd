import type { FileObserver } from "./run-file.ts";
import { formatEnd, formatRunning } from "./summary.ts";

/**
 * On a terminal the line with the running files is drawn again at this interval; elsewhere it is printed only after
 * such a silence, in ms.
 */
const terminalEveryMs = 1000;
const silenceMs = 20_000;

/** The destination of progress; on a terminal the last line is replaced. */
export interface Output {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** Reports the begin and the end of files. */
export interface Progress extends FileObserver {
  close(): void;
}

/** Prints a line for each file that ends, and in between the names of the running files. */
export function startProgress(total: number, output: Output = process.stdout): Progress {
  const running = new Map<string, number>();
  let ended = 0;
  let failed = 0;
  let printedAt = performance.now();
  const clear = output.isTTY ? "\r\x1b[K" : "";
  const print = (line: string) => {
    output.write(`${clear}${line}\n`);
    printedAt = performance.now();
  };
  const showRunning = () => {
    const now = performance.now();
    const line = formatRunning({ running, left: total - ended, failed, now });
    if (output.isTTY) output.write(`${clear}${line.slice(0, (output.columns ?? 80) - 1)}`);
    else if (now - printedAt >= silenceMs) print(line);
  };
  const timer = setInterval(showRunning, terminalEveryMs);
  return {
    begin: (path) => void running.set(path, performance.now()),
    end(result) {
      running.delete(result.path);
      ended += 1;
      if (result.failures.length > 0) failed += 1;
      print(formatEnd(result, ended, total));
    },
    close() {
      clearInterval(timer);
      output.write(clear);
    },
  };
}
