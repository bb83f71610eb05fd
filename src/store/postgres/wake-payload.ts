import type { Wake } from "../store.ts";

/** PostgreSQL accepts payloads below 8000 bytes. Ids and kinds are ASCII. */
const maxPayloadChars = 7_000;

const kinds: ReadonlySet<string> = new Set(["job", "log", "queue"] satisfies Wake["kind"][]);

/** One line for a wake, such as `job 0193ab…`; the same wake is the same line. */
export function wakeLine(wake: Wake): string {
  return wake.kind === "all" ? "all" : `${wake.kind} ${wake.jobId}`;
}

/** The first of `lines` that fit into one payload, and their number: at least one. */
export function packLines(lines: Iterable<string>): { payload: string; count: number } {
  let payload = "";
  let count = 0;
  for (const line of lines) {
    if (count > 0 && payload.length + 1 + line.length > maxPayloadChars) break;
    payload += count === 0 ? line : `\n${line}`;
    count += 1;
  }
  return { payload, count };
}

/** The wakes of a payload. Unknown lines are left out: a newer version may send them. */
export function unpackWakes(payload: string): Wake[] {
  return payload.split("\n").flatMap((line): Wake[] => {
    const [kind = "", jobId = ""] = line.split(" ");
    if (kind === "all") return [{ kind }];
    return kinds.has(kind) && jobId !== "" ? [{ kind: kind as "job" | "log" | "queue", jobId }] : [];
  });
}
