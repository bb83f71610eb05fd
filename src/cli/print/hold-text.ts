import type { Job } from "../../gen/solstice/v1/jobs_pb.ts";
import { durationText, oneLine, timeText } from "./text.ts";

/** True when the job has its verdict, and its guest is on hold, for people to enter. */
export function isOnHold(job: Job): boolean {
  return job.hold?.state === "on_hold" && job.verdict !== undefined;
}

/** True when the job has its verdict and its guest is on hold, or is being removed after the hold: the output is complete. */
export function hasHeldGuest(job: Job): boolean {
  return isOnHold(job) || (job.hold?.state === "ending" && job.verdict !== undefined);
}

/** The commands that enter and remove a guest on hold; empty for a job without one. `now` is in ms since the epoch. */
export function holdText(job: Job, now: number): string {
  if (!isOnHold(job)) return "";
  const untilMs = Number(job.hold?.untilMs ?? 0);
  return (
    `Its guest is kept until ${timeText(untilMs)} (for ${durationText(untilMs - now)}).\n` +
    `  Enter it with:  solstice shell ${job.id}\n  Remove it with: solstice release ${job.id}\n`
  );
}

/** A job's hold in a few words, for a list of facts. */
export function holdFact({ hold }: Job): string {
  if (!hold) return "";
  const until = timeText(hold.untilMs);
  switch (hold.state) {
    case "on_hold":
      return `on hold until ${until}`;
    case "ending":
      return "was on hold, is being removed";
    case "refused":
      return `not kept: ${oneLine(hold.message)}`;
    default:
      return hold.releasedMs === 0n ? `was on hold until ${until}` : "was on hold, and released";
  }
}
