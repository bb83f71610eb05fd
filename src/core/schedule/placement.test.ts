import assert from "node:assert/strict";
import { test } from "node:test";
import { SolsticeError } from "../errors.ts";
import type { HostRecord } from "../hosts/host-facts.ts";
import type { ImageDefinition, ImageMap } from "../image-map/image-map.ts";
import { hostMemoryMs, type PlacementRequest, placeElsewhere, placeHere } from "./placement.ts";
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

function placed(requested: Partial<PlacementRequest>, others: HostRecord[] = [illumosHost]) {
  const asked = { runsOn: undefined, size: undefined, ...requested };
  const here = placeHere(asked, map);
  return here instanceof SolsticeError ? placeElsewhere(asked, here, { map, others, now }) : here;
}

test("names in this host's map are resolved by it, whatever the other hosts' maps have", () => {
  const other = hostRecord("b", { images: ["debian"], facts: { labels: { latest: "trap" } } });
  assert.deepEqual(placed({}, [other]), { label: "latest", image: "debian", size: defaults });
  const small = placed({ runsOn: "debian", size: "small" });
  assert.deepEqual(small.size, { cpu: 1, ramMb: 1024, diskGb: 20 });
});

test("a label or a size that only another host has is resolved by that host's facts", () => {
  const size = { cpu: 1, ramMb: 512, diskGb: 4 };
  assert.deepEqual(placed({ runsOn: "illumos" }), { label: "illumos", image: "omnios", size });
  assert.deepEqual(placed({ runsOn: "illumos", size: "huge" }).size, { cpu: 9, ramMb: 9, diskGb: 4 });
  const bigHost = hostRecord("c", { images: ["debian"], facts: { sizes: illumosHost.facts.sizes } });
  assert.deepEqual(placed({ runsOn: "debian", size: "huge" }, [bigHost]).size.cpu, 9);
});

test("a lost host's facts are used last, and old facts not at all", () => {
  const lost = hostRecord("old", { images: ["x"], lostAt: 1, facts: { labels: { illumos: "x" } } });
  assert.equal(placed({ runsOn: "illumos" }, [lost, illumosHost]).image, "omnios");
  assert.equal(placed({ runsOn: "illumos" }, [lost]).image, "x");
  const gone = { ...lost, renewedAt: now - hostMemoryMs };
  assert.throws(() => placed({ runsOn: "illumos" }, [gone]), { code: "unknown_label" });
});

test("a name that no host has is refused with the names of all hosts", () => {
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

test("among hosts with a label, a host that runs the image comes before a host that only has it in its map", () => {
  const defaults = { cpu: 8, ramMb: 8, diskGb: 8 };
  const wrong: HostRecord["facts"]["unfit"][string] = {
    needs: "zones",
    problem: "It needs zones.",
    defaults,
  };
  const named = hostRecord("a", { facts: { labels: { illumos: "far" }, unfit: { far: wrong } } });
  assert.equal(placed({ runsOn: "illumos" }, [named, illumosHost]).image, "omnios");
  assert.deepEqual(placed({ runsOn: "illumos" }, [named]), {
    label: "illumos",
    image: "far",
    size: defaults,
  });
});
