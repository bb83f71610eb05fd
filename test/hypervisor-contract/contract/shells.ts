import assert from "node:assert/strict";
import type { GuestShell, Hypervisor } from "../../../src/hypervisor/hypervisor.ts";
import { until } from "../../support/until.ts";
import { GUEST_TIMEOUT_MS } from "./look.ts";

/** Interval for typing a text again that has not come back, in ms. */
const TYPE_AGAIN_MS = 2000;

const order = { number: 7, term: "dumb", rows: 24, columns: 80, mode: "plain" } as const;

/** Asserts that the guest of a job has no shell. */
export async function assertNoShell(hypervisor: Hypervisor, jobId: string): Promise<void> {
  await assert.rejects(hypervisor.openShell(jobId, order), { code: "hypervisor_failed" });
}

/**
 * Uses the line to the shell of an obedient guest that is up, which echoes what is typed; then a second line, which
 * stays open: `ended` resolves once it is closed.
 */
export async function useShells(hypervisor: Hypervisor, jobId: string): Promise<{ ended: Promise<void> }> {
  const first = await hypervisor.openShell(jobId, order);
  await echoes(first, "one");
  // A second start of a running guest changes neither the guest nor its processes.
  await hypervisor.start(jobId);
  await echoes(first, "still one");
  await first.resize({ rows: 50, columns: 120 });
  const ended = closed(first);
  const second = await hypervisor.openShell(jobId, { ...order, number: 8 });
  first.stream.destroy();
  await ended;
  await echoes(second, "two");
  return { ended: closed(second) };
}

/**
 * Types a text until it comes back. A guest that is up may not have opened its line yet: text typed before then is
 * lost, so it is typed again. One listener stays for the whole time, since bytes arrive in pieces.
 */
async function echoes({ stream }: GuestShell, text: string): Promise<void> {
  let seen = "";
  const keep = (bytes: Uint8Array) => {
    seen += String(bytes);
  };
  const type = () => stream.write(`${text}\n`);
  stream.on("data", keep);
  const again = setInterval(type, TYPE_AGAIN_MS);
  try {
    type();
    await until(`the shell gives back ${text}`, () => seen.includes(text), GUEST_TIMEOUT_MS / 1000);
  } finally {
    clearInterval(again);
    stream.off("data", keep);
  }
}

/** Waits for the end of a line, with or without an error. */
async function closed({ stream }: GuestShell): Promise<void> {
  stream.on("error", () => {});
  stream.resume();
  await until("the line to the shell is closed", () => stream.closed, GUEST_TIMEOUT_MS / 1000);
}
