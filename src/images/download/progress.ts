import { MultiBar, type SingleBar } from "cli-progress";
import type { Log } from "../../core/log.ts";
import { formatBytes } from "../../host/files/disk-space.ts";
import type { ImageProgress } from "../types.ts";

/** Shows the progress of images. */
export interface ProgressView {
  show(name: string, progress: ImageProgress): void;
  /** Called when the image is ready or has failed. */
  finish(name: string): void;
  close(): void;
}

/**
 * A log line is written when the phase changes or an attempt fails in a new way; then after each tenth of the bytes,
 * but not within 5 s of the last line; and once a minute in any case.
 */
const logMinSeconds = 5;
const logMaxSeconds = 60;
const logShare = 0.1;

/** Creates progress bars on a terminal, one for each image. */
export function createProgressBars(stream: NodeJS.WriteStream): ProgressView {
  const format = "{name} {phase} {bar} {done} of {all}";
  const bars = new MultiBar({
    format,
    stream,
    hideCursor: true,
    barsize: 24,
    clearOnComplete: false,
    fps: 4,
  });
  const byName = new Map<string, SingleBar>();
  const troubles = new Map<string, string | undefined>();
  return {
    show(name, progress) {
      const bar = byName.get(name) ?? bars.create(1, 0, payloadOf(name, progress));
      byName.set(name, bar);
      // Write a line above the bars, once for each kind of failure.
      if (progress.trouble !== undefined && progress.trouble !== troubles.get(name)) {
        bars.log(`${name}: retrying: ${progress.trouble}\n`);
      }
      troubles.set(name, progress.trouble);
      bar.setTotal(Math.max(1, progress.totalBytes ?? progress.doneBytes));
      bar.update(progress.totalBytes === null ? 0 : progress.doneBytes, payloadOf(name, progress));
    },
    finish(name) {
      byName.get(name)?.stop();
      byName.delete(name);
    },
    close() {
      bars.stop();
    },
  };
}

/** Creates a progress view that writes log lines, for output without a terminal. `now` is in milliseconds. */
export function createProgressLog(log: Log, now: () => number = () => performance.now()): ProgressView {
  const last = new Map<string, { at: number; progress: ImageProgress }>();
  return {
    show(name, progress) {
      const previous = last.get(name);
      if (previous && !isWorthALine(previous, progress, now())) return;
      last.set(name, { at: now(), progress });
      const all = progress.totalBytes === null ? "an unknown size" : formatBytes(progress.totalBytes);
      const done = `${formatBytes(progress.doneBytes)} of ${all}`;
      const trouble =
        progress.trouble === undefined ? "" : ` (retrying: ${progress.trouble.replace(/\.$/, "")})`;
      log.info({ image: name, ...progress }, `image ${name}: ${describePhase(progress)}, ${done}${trouble}`);
    },
    finish(name) {
      last.delete(name);
    },
    close() {
      last.clear();
    },
  };
}

function isWorthALine(
  previous: { at: number; progress: ImageProgress },
  progress: ImageProgress,
  at: number,
): boolean {
  if (previous.progress.phase !== progress.phase) return true;
  if (progress.trouble !== undefined && progress.trouble !== previous.progress.trouble) return true;
  const seconds = (at - previous.at) / 1000;
  const share =
    (progress.doneBytes - previous.progress.doneBytes) / (progress.totalBytes ?? Number.POSITIVE_INFINITY);
  return seconds >= logMaxSeconds || (seconds >= logMinSeconds && share >= logShare);
}

function describePhase(progress: ImageProgress): string {
  return progress.holderPid === undefined ? progress.phase : `waiting for process ${progress.holderPid}`;
}

function payloadOf(name: string, progress: ImageProgress) {
  return {
    name,
    phase: describePhase(progress).padEnd(11),
    done: formatBytes(progress.doneBytes),
    all: progress.totalBytes === null ? "?" : formatBytes(progress.totalBytes),
  };
}
