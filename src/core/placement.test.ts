import assert from "node:assert/strict";
import { test } from "node:test";
import type { HostRecord } from "./host-facts.ts";
import type { ImageDefinition, ImageMap } from "./image-map.ts";
import { hopeless, hostMemoryMs, place, type Wish } from "./placement.ts";
import { hostRecord } from "./testing/hosts.ts";

const now = 1_000_000_000;
const defaults = { cpu: 2, ramMb: 2048, diskGb: 20 };
const map: ImageMap = {
  defaultLabel: "latest",
  aliases: new Map([["latest", "debian"]]),
  sizes: new Map([["small", { cpu: 1, ramMb: 1024, diskGb: null }]]),
  images: new Map([["debian", { name: "debian", defaults } as ImageDefinition]]),
};

const illumosHost = hostRecord("b", {
  images: ["omnios"],
  facts: {
    labels: { illumos: "omnios", omnios: "omnios" },
    sizes: { huge: { cpu: 9, ramMb: 9, diskGb: null } },
  },
});

function placed(wish: Partial<Wish>, others: HostRecord[] = [illumosHost]) {
  return place({ runsOn: undefined, size: undefined, ...wish }, { map, others, now });
}

test("what this host's map knows is resolved by it, whatever others say of the same names", () => {
  const other = hostRecord("b", { images: ["debian"], facts: { labels: { latest: "trap" } } });
  assert.deepEqual(placed({}, [other]), { label: "latest", image: "debian", size: defaults });
  const small = placed({ runsOn: "debian", size: "small" });
  assert.deepEqual(small.size, { cpu: 1, ramMb: 1024, diskGb: 20 });
});

test("a label or a size that only another host knows is resolved by its facts", () => {
  const size = { cpu: 1, ramMb: 512, diskGb: 4 };
  assert.deepEqual(placed({ runsOn: "illumos" }), { label: "illumos", image: "omnios", size });
  assert.deepEqual(placed({ runsOn: "illumos", size: "huge" }).size, { cpu: 9, ramMb: 9, diskGb: 4 });
  const bigHost = hostRecord("c", { images: ["debian"], facts: { sizes: illumosHost.facts.sizes } });
  assert.deepEqual(placed({ runsOn: "debian", size: "huge" }, [bigHost]).size.cpu, 9);
});

test("a host that is lost is asked last, and one that is not heard of for long not at all", () => {
  const lost = hostRecord("old", { images: ["x"], lostAt: 1, facts: { labels: { illumos: "x" } } });
  assert.equal(placed({ runsOn: "illumos" }, [lost, illumosHost]).image, "omnios");
  assert.equal(placed({ runsOn: "illumos" }, [lost]).image, "x");
  const gone = { ...lost, renewedAt: now - hostMemoryMs };
  assert.throws(() => placed({ runsOn: "illumos" }, [gone]), { code: "unknown_label" });
});

test("what nobody knows is refused with what all know", () => {
  assert.throws(() => placed({ runsOn: "ilumos" }), {
    code: "unknown_label",
    message:
      'No image has the label "ilumos" (did you mean "illumos"?). Known labels: latest, debian, illumos, omnios.',
  });
  assert.throws(() => placed({ runsOn: "debian", size: "tiny" }), { code: "usage" });
  assert.throws(() => placed({ runsOn: "illumos", size: "tiny" }), {
    code: "usage",
    remedy: "Known sizes: huge.",
  });
  assert.throws(() => placed({ runsOn: "toString" }), { code: "unknown_label" });
});

const timeoutMs = 1000;
const absent = { kind: "absent", message: "" } as const;
const failed = { kind: "failed", message: "The checksum is wrong." } as const;
const pending = { kind: "pending", message: "" } as const;

function problem(here: Parameters<typeof hopeless>[1], others: HostRecord[], waited: number): string | null {
  return hopeless("omnios", here, { others, waitingSince: now - waited, timeoutMs, now });
}

test("an image that another host can use now is never hopeless", () => {
  for (const here of [absent, failed, pending]) assert.equal(problem(here, [illumosHost], 1e9), null);
});

test("without another host that has or had it, it is hopeless at once, or when its time is over", () => {
  assert.match(problem(absent, [], 0) ?? "", /no longer in the image map/);
  assert.match(problem(failed, [hostRecord("c")], 0) ?? "", /checksum/);
  assert.equal(problem(pending, [], timeoutMs - 1), null);
  assert.match(problem(pending, [], timeoutMs) ?? "", /did not become ready within 1 s/);
});

test("another host that prepares it gives the job its whole time; one that is lost, its time since then", () => {
  const defaults = { cpu: 1, ramMb: 1, diskGb: 1 };
  const preparing = hostRecord("b", { facts: { images: { omnios: { defaults, ready: false } } } });
  assert.equal(problem(failed, [preparing], timeoutMs - 1), null);
  assert.match(problem(failed, [preparing], timeoutMs) ?? "", /Its last error: The checksum/);
  const lost = (ago: number) => ({ ...illumosHost, lostAt: now - ago });
  assert.equal(problem(absent, [lost(timeoutMs - 1)], 1e6), null);
  assert.notEqual(problem(absent, [lost(timeoutMs)], 1e6), null);
  assert.equal(problem(absent, [lost(timeoutMs)], timeoutMs - 1), null);
});
