import type { RejectedMessage } from "../../../gen/solstice/v1/jobs_pb.ts";
import type { Output } from "../../context.ts";
import { tableText } from "../../print/table.ts";
import { durationText, oneLine } from "../../print/text.ts";

/** A rejected message as `--json` prints it. `docs/reference/cli.md` documents the keys; they must not change. */
export function rejectedDocument(rejected: RejectedMessage) {
  return {
    id: rejected.id,
    received_ms: Number(rejected.receivedMs),
    reason: rejected.reason,
    message: rejected.message,
    request_id: rejected.requestId ?? null,
    host_id: rejected.hostId,
    times: rejected.times,
    body_bytes: Number(rejected.bodyBytes),
    body_base64: Buffer.from(rejected.body).toString("base64"),
  };
}

/** The rejected messages as a table for people. */
export function rejectedText(messages: readonly RejectedMessage[], output: Output, now: number): string {
  if (messages.length === 0) return "No message was rejected.\n";
  const rows = messages.map((rejected) => [
    durationText(now - Number(rejected.receivedMs)),
    oneLine(rejected.reason),
    String(rejected.times),
    oneLine(rejected.requestId ?? "-"),
    oneLine(rejected.message),
  ]);
  return tableText(
    { head: ["AGE", "REASON", "TIMES", "REQUEST", "MESSAGE"], rows, flexible: [4], whole: [3] },
    output,
  );
}
