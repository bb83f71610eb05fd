import assert from "node:assert/strict";
import { test } from "node:test";
import type { ImageMap } from "../../core/image-map/image-map.ts";
import type { Secret } from "../../core/secrets/secret.ts";
import { SecretValue } from "../../core/secrets/secret-value.ts";
import {
  compareConfigs,
  needsAttention,
  type Reloadable,
  type ReloadReport,
  reportText,
} from "./reload-report.ts";

const policy = { repositories: [], refs: [], withoutRepository: true };

function reloadable(given: {
  images?: Record<string, number>;
  secrets?: Record<string, string>;
  token?: string | null;
  label?: string;
}): Reloadable {
  const images = Object.entries(given.images ?? {}).map(([name, cpu]) => [name, { name, defaults: { cpu } }]);
  const secrets = Object.entries(given.secrets ?? {}).map(([name, value]): [string, Secret] => [
    name,
    { name, value: new SecretValue(value), policy, checkout: null },
  ]);
  const imageMap = { defaultLabel: given.label ?? "a", aliases: new Map(), sizes: new Map() };
  return {
    imageMap: { ...imageMap, images: new Map(images as [string, never][]) } as ImageMap,
    apiToken: given.token ?? null,
    secretSet: new Map(secrets),
  };
}

const noneMissing = { jobs: 0, images: [] };

function reportOf(before: Reloadable, after: Reloadable, needRestart: readonly string[] = []): ReloadReport {
  return { ...compareConfigs(before, after, needRestart), missingImages: noneMissing };
}

test("added, removed and changed items are named, without values of secrets or tokens", () => {
  const before = reloadable({
    images: { a: 1, b: 1, c: 1 },
    secrets: { ONE: "value-1", TWO: "x" },
    token: "first-pass",
  });
  const after = reloadable({
    images: { a: 1, b: 2, d: 1 },
    secrets: { ONE: "value-2", THREE: "value-3" },
    token: "second-pass",
    label: "d",
  });
  const report = reportOf(before, after, ["MAX_CONCURRENCY"]);
  assert.deepEqual(report, {
    images: { added: ["d"], removed: ["c"], changed: ["b"] },
    labels: "changed",
    secrets: { added: ["THREE"], removed: ["TWO"], changed: ["ONE"] },
    apiToken: "changed",
    needRestart: ["MAX_CONCURRENCY"],
    missingImages: noneMissing,
  });
  assert.doesNotMatch(JSON.stringify(report) + reportText(report), /value-|-pass/);
});

test("a removed token, jobs without their image, and changes that need a restart need attention", () => {
  const [open, closed] = [reloadable({}), reloadable({ token: "first-pass" })];
  assert.equal(needsAttention(reportOf(closed, open)), true);
  assert.equal(needsAttention(reportOf(open, open, ["MAX_HOLDS"])), true);
  for (const before of [open, closed]) assert.equal(needsAttention(reportOf(before, closed)), false);
  const report = { ...reportOf(open, open), missingImages: { jobs: 2, images: ["old"] } };
  assert.equal(needsAttention(report), true);
  assert.match(reportText(report), /^reloaded: 2 waiting jobs .*: old$/);
});

test("a report without changes says so, and a long list of names is cut", () => {
  const same = reloadable({ images: { a: 1 }, secrets: { ONE: "x" } });
  assert.equal(reportText(reportOf(same, same)), "reloaded: no changes");
  const many = Object.fromEntries(Array.from({ length: 30 }, (_, index) => [`image-${index}`, 1]));
  const text = reportText(reportOf(reloadable({ images: {} }), reloadable({ images: many })));
  assert.match(text, /images: 30 added \(image-0, .*image-19 and 10 more\)$/);
});
