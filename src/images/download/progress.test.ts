import assert from "node:assert/strict";
import { test } from "node:test";
import { silentLog } from "../../core/log.ts";
import { createProgressLog } from "./progress.ts";

test("log lines: at a change of phase, then after each tenth but 5 s apart, once a minute, and when an attempt fails in a new way", () => {
  const lines: string[] = [];
  let now = 0;
  const log = { ...silentLog, info: (_: object, message: string) => void lines.push(message) };
  const view = createProgressLog(log, () => now);
  const show = (seconds: number, mebibytes: number, phase: "downloading" | "unpacking" = "downloading") => {
    now = seconds * 1000;
    view.show("debian", { phase, doneBytes: mebibytes * 1024 ** 2, totalBytes: 100 * 1024 ** 2 });
  };
  show(0, 0);
  show(1, 50);
  show(6, 55);
  show(7, 56);
  show(12, 57);
  show(67, 58);
  show(68, 1, "unpacking");
  for (const trouble of ["no DNS", "no DNS", "no route"]) {
    view.show("other", { phase: "downloading", doneBytes: 0, totalBytes: null, trouble });
  }
  assert.deepEqual(lines, [
    "image debian: downloading, 0 B of 100 MiB",
    "image debian: downloading, 55.0 MiB of 100 MiB",
    "image debian: downloading, 58.0 MiB of 100 MiB",
    "image debian: unpacking, 1.0 MiB of 100 MiB",
    "image other: downloading, 0 B of an unknown size (retrying: no DNS)",
    "image other: downloading, 0 B of an unknown size (retrying: no route)",
  ]);
});
