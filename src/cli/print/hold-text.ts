import type { Job } from "../../gen/solstice/v1/jobs_pb.ts";
import { durationText, oneLine, timeText } from "./text.ts";

/** Whether the job has failed for good, and only its guest is left, for people to enter. */
export function isOnHold(job: Job): boolean {
  return job.hold?.state === "on_hold" && job.verdict !== undefined;
}

/** Whether a failed job's output is all there: its guest is on hold, or was until a moment ago. */
export function hasHeldGuest(job: Job): boolean {
  return isOnHold(job) || (job.hold?.state === "ending" && job.verdict !== undefined);
}

/** What to do with a guest on hold, for a person; empty where there is none. `now` is in ms since the epoch. */
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
      return "on hold before; it is being removed";
    case "refused":
      return `not kept: ${oneLine(hold.message)}`;
    default:
      return hold.releasedMs === 0n ? `was on hold until ${until}` : "was on hold, and released";
  }
}
