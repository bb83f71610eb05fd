import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isSolsticeError } from "../errors.ts";
import { closestName } from "../text/closest-name.ts";
import type { ImageDefinition, ImageMap } from "./image-map.ts";
import { resolveLabel, resolveSize } from "./labels.ts";

const image: ImageDefinition = {
  name: "debian-12",
  source: null,
  localPath: "/images/debian-12.img",
  decompress: "none",
  nocloud: true,
  defaults: { cpu: 2, ramMb: 2048, diskGb: 20 },
  checksum: null,
  format: null,
  backend: null,
  seed: "iso",
  diskBus: "virtio",
  nicModel: "virtio",
  firmware: "bios",
  egress: "open",
};

const map: ImageMap = {
  defaultLabel: "stable",
  aliases: new Map([
    ["latest", "stable"],
    ["stable", "debian-12"],
  ]),
  sizes: new Map([
    ["small", { cpu: 1, ramMb: 512, diskGb: null }],
    ["roomy", { cpu: 1, ramMb: 512, diskGb: 99 }],
  ]),
  images: new Map([["debian-12", image]]),
};

test("a label is resolved through its aliases, and keeps its requested name", () => {
  assert.deepEqual(resolveLabel(map, "latest"), { label: "latest", image });
  assert.deepEqual(resolveLabel(map, "debian-12"), { label: "debian-12", image });
  assert.deepEqual(resolveLabel(map, undefined), { label: "stable", image });
});

test("the error for an unknown label lists the known labels", () => {
  assert.throws(
    () => resolveLabel(map, "debian-13"),
    (error) =>
      isSolsticeError(error, "unknown_label") &&
      error.message ===
        'No image has the label "debian-13" (did you mean "debian-12"?). Known labels: latest, stable, debian-12.',
  );
});

test("resolving a cycle of aliases (which validation refuses) ends with an error", () => {
  const round = {
    ...map,
    aliases: new Map([
      ["a", "b"],
      ["b", "a"],
    ]),
  };
  assert.throws(
    () => resolveLabel(round, "a"),
    (error) => isSolsticeError(error, "unknown_label"),
  );
});

test("a chain of aliases of any length is resolved", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 200 }), (length) => {
      const chain = Array.from({ length }, (_, index) => [`a${index}`, `a${index + 1}`] as [string, string]);
      const aliases = new Map([...chain, [`a${length}`, "debian-12"]]);
      assert.equal(resolveLabel({ ...map, aliases }, "a0").image, image);
    }),
  );
});

test("a size replaces the image's defaults, but the disk only if the size has one", () => {
  assert.deepEqual(resolveSize(map, image, undefined), image.defaults);
  assert.deepEqual(resolveSize(map, image, "small"), { cpu: 1, ramMb: 512, diskGb: 20 });
  assert.deepEqual(resolveSize(map, image, "roomy"), { cpu: 1, ramMb: 512, diskGb: 99 });
  assert.throws(
    () => resolveSize(map, image, "smal"),
    (error) => isSolsticeError(error, "usage") && error.remedy === "Known sizes: small, roomy.",
  );
});

test("the closest name is near, or null", () => {
  assert.equal(closestName("defualt_label", ["aliases", "default_label"]), "default_label");
  assert.equal(closestName("jbos", ["logs", "jobs"]), "jobs");
  assert.equal(closestName("gte", ["get"]), "get");
  const keys = ["timeout_seconds", "repo_url", "repo_name", "hold_on_failure_seconds"];
  const meant = ["timeout", "hold_on_failure", "repo"].map((name) => closestName(name, keys));
  assert.deepEqual(meant, ["timeout_seconds", "hold_on_failure_seconds", null]);
  assert.equal(closestName("RAM_MB", ["ram_mb"]), "ram_mb");
  assert.equal(closestName("xyz", ["ram_mb"]), null);
  assert.equal(closestName("", ["a"]), null);
});
