import assert from "node:assert/strict";
import { test } from "node:test";
import type { GuestShell } from "../../../src/hypervisor/hypervisor.ts";
import { until } from "../../support/until.ts";
import { GUEST_TIMEOUT_MS, waitForConsole } from "./look.ts";
import { newSpec, randomJobId, type Scene } from "./scene.ts";

/** How often a text is typed again that has not come back. */
const TYPE_AGAIN_MS = 2000;

const order = { number: 7, term: "dumb", rows: 24, columns: 80, mode: "plain" } as const;

/** An obedient guest gives back what is typed on its line for shells. */
export function testShells(scene: Scene, inMemory: boolean): void {
  test("a line to the shell of a guest: only of one that runs; bytes both ways; it outlives another start; a new one takes over; it ends with its guest", async () => {
    const { hypervisor } = scene;
    await assert.rejects(hypervisor.openShell(randomJobId(), order), { code: "hypervisor_failed" });
    const spec = newSpec(scene, "obedient");
    const { jobId } = spec;
    await hypervisor.create(spec);
    await assert.rejects(hypervisor.openShell(jobId, order), { code: "hypervisor_failed" });
    await hypervisor.start(jobId);
    if (inMemory) {
      await assert.rejects(hypervisor.openShell(jobId, order), { code: "hypervisor_failed" });
      await hypervisor.remove(jobId);
      return;
    }
    await waitForConsole(hypervisor, jobId, "guest is up");
    const first = await hypervisor.openShell(jobId, order);
    await echoes(first, "one");
    // A running guest stays as it is, and so does what runs in it.
    await hypervisor.start(jobId);
    await echoes(first, "still one");
    await first.resize({ rows: 50, columns: 120 });
    const ended = closed(first);
    const second = await hypervisor.openShell(jobId, { ...order, number: 8 });
    first.stream.destroy();
    await ended;
    await echoes(second, "two");
    const over = closed(second);
    await hypervisor.destroy(jobId);
    await over;
    await hypervisor.remove(jobId);
  });
}

/**
 * Types a text until it comes back. A guest that is up may not have opened its line yet: what is typed before then is lost, so
 * the text is typed again. One listener stays for the whole time, since bytes come in pieces.
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

function closed({ stream }: GuestShell): Promise<void> {
  stream.on("error", () => {});
  stream.resume();
  return new Promise((resolve) => stream.once("close", resolve));
}
