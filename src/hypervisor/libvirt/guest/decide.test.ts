import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { FoundDomain } from "../host.ts";
import { decideCreate, type TeardownStep, teardownSteps, type Wanted } from "./decide.ts";
import type { ObservedGuest } from "./observed.ts";

const domain = { name: "job-a", uuid: "00000000-0000-4000-8000-000000000001", id: -1 };
const ours = (attempt: number): FoundDomain => ({ kind: "ours", domain, attempt });
const markedBy = (owner: string, attempt: number, jobId = "a"): FoundDomain => ({
  kind: "foreign",
  domain,
  ownership: { owner, jobId, attempt },
});
const none: FoundDomain = { kind: "none" };
const unmarked: FoundDomain = { kind: "foreign", domain, ownership: null };

const nothing: ObservedGuest = { domain: none, hasPower: false, hasDirectory: false, hasFiles: false };
const complete: ObservedGuest = { domain: ours(2), hasPower: false, hasDirectory: true, hasFiles: true };
const wanted: Wanted = { jobId: "a", attempt: 2, formerHosts: ["lost"] };

const make = (...steps: TeardownStep[]) => ({ kind: "make", steps, abandoned: null });

describe("create", () => {
  const table: [what: string, guest: ObservedGuest, expected: object][] = [
    ["nothing exists", nothing, make("remove-log")],
    ["the guest is complete", complete, { kind: "done" }],
    ["the guest is complete and runs", { ...complete, hasPower: true }, { kind: "done" }],
    [
      "the domain has lost its files",
      { ...complete, hasFiles: false },
      make("undefine", "remove-log", "remove-directory"),
    ],
    [
      "the domain has lost its directory",
      { ...complete, hasDirectory: false, hasFiles: false },
      make("undefine", "remove-log"),
    ],
    [
      "a crash left files without a domain",
      { ...complete, domain: none },
      make("remove-log", "remove-directory"),
    ],
    [
      "an earlier attempt still runs",
      { ...complete, domain: ours(1), hasPower: true },
      make("cut-power", "undefine", "remove-log", "remove-directory"),
    ],
    [
      "an earlier attempt has no power",
      { ...complete, domain: ours(1) },
      make("undefine", "remove-log", "remove-directory"),
    ],
    ["a newer attempt exists", { ...complete, domain: ours(3) }, { kind: "outdated", attempt: 3 }],
    [
      "a newer attempt exists without files",
      { ...complete, domain: ours(3), hasFiles: false },
      { kind: "outdated", attempt: 3 },
    ],
    ["a foreign domain has the name", { ...nothing, domain: unmarked }, { kind: "refuse" }],
    [
      "a foreign domain has the name, and our directory exists",
      { ...complete, domain: unmarked },
      { kind: "refuse" },
    ],
    ["another host has the job", { ...nothing, domain: markedBy("other", 1) }, { kind: "refuse" }],
    ["a lost host has this attempt", { ...nothing, domain: markedBy("lost", 2) }, { kind: "refuse" }],
    ["a lost host has another job", { ...nothing, domain: markedBy("lost", 1, "b") }, { kind: "refuse" }],
    [
      "a lost host left an earlier attempt, which runs",
      { ...nothing, domain: markedBy("lost", 1), hasPower: true },
      {
        kind: "make",
        steps: ["cut-power", "undefine", "remove-log"],
        abandoned: { owner: "lost", jobId: "a", attempt: 1 },
      },
    ],
    [
      "a lost host left an earlier attempt, and our directory exists",
      { ...complete, domain: markedBy("lost", 1) },
      {
        kind: "make",
        steps: ["undefine", "remove-log", "remove-directory"],
        abandoned: { owner: "lost", jobId: "a", attempt: 1 },
      },
    ],
  ];
  for (const [what, guest, expected] of table)
    test(what, () => assert.deepEqual(decideCreate(guest, wanted), expected));
});

const arbitraryGuest: fc.Arbitrary<ObservedGuest> = fc.record({
  domain: fc.constantFrom(
    none,
    unmarked,
    markedBy("lost", 1),
    markedBy("other", 1),
    ours(1),
    ours(2),
    ours(3),
  ),
  hasPower: fc.boolean(),
  hasDirectory: fc.boolean(),
  hasFiles: fc.boolean(),
});

test("removal removes everything of ours, and no foreign domain or log", () => {
  fc.assert(
    fc.property(arbitraryGuest, (guest) => {
      const steps = teardownSteps(guest);
      const isOurs = guest.domain.kind === "ours";
      assert.equal(steps.includes("undefine"), isOurs);
      assert.equal(steps.includes("cut-power"), isOurs && guest.hasPower);
      assert.equal(steps.includes("remove-log"), guest.domain.kind !== "foreign");
      assert.equal(steps.at(-1) === "remove-directory", guest.hasDirectory, "the directory is removed last");
      if (steps.includes("cut-power")) assert.equal(steps[0], "cut-power", "before the domain is undefined");
    }),
  );
});

test("a created guest keeps no part of an earlier one", () => {
  fc.assert(
    fc.property(arbitraryGuest, (guest) => {
      const creation = decideCreate(guest, wanted);
      if (creation.kind !== "make") return;
      assert.equal(creation.steps.includes("undefine"), guest.domain.kind !== "none");
      assert.equal(creation.steps.includes("remove-directory"), guest.hasDirectory);
    }),
  );
});
