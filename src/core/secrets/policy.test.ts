import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";
import fc from "fast-check";
import { decideSecret, refPatternProblem, type SecretPolicy, secretNameProblem } from "./policy.ts";
import { SecretValue } from "./secret-value.ts";

const policy: SecretPolicy = {
  repositories: ["example.org/acme/app"],
  refs: ["refs/heads/main", "refs/tags/v*"],
  withoutRepository: false,
};
const main = { repoUrl: "https://example.org/acme/app.git", ref: "refs/heads/main", fromFork: false };

function whyNot(changes: Partial<typeof main> | { ref: null } | { repoUrl: null }, of = policy): string {
  const decision = decideSecret(of, { ...main, ...changes });
  return decision.kind === "withheld" ? decision.why : decision.kind;
}

test("a secret is given to its repository at its refs, and otherwise withheld with the reason", () => {
  assert.equal(whyNot({}), "given");
  assert.equal(whyNot({ ref: "refs/tags/v1.2" }), "given");
  assert.equal(whyNot({ ref: "refs/heads/main2" }), "the secret is not for ref refs/heads/main2");
  assert.match(whyNot({ ref: "main" }), /not for ref main \(a full name/);
  assert.equal(whyNot({ ref: null }), "the job names no ref");
  assert.equal(
    whyNot({ repoUrl: "https://example.org/evil/app" }),
    "the secret is not for repository example.org/evil/app",
  );
  assert.match(whyNot({ repoUrl: "https://example.org\\@evil.org/acme/app" }), /no pattern matches/);
  assert.equal(whyNot({ repoUrl: null }), "the job has no repository");
  assert.equal(whyNot({ repoUrl: null }, { ...policy, withoutRepository: true }), "given");
  assert.equal(whyNot({ ref: null }, { ...policy, refs: "any" }), "given");
});

test("a URL's password is not repeated in the reason", () => {
  assert.equal(
    whyNot({ repoUrl: "https://user:hunter2@example.org/other/app" }),
    "the secret is not for repository example.org/other/app",
  );
});

test("property: a fork's job never gets a secret, and cannot find out which names exist", () => {
  const requester = fc.record({
    repoUrl: fc.constantFrom(null, main.repoUrl, "https://example.org/a/b"),
    ref: fc.constantFrom(null, "main", "refs/heads/main"),
    fromFork: fc.constant(true),
  });
  const open: SecretPolicy = { repositories: ["example.org/**"], refs: "any", withoutRepository: true };
  fc.assert(
    fc.property(fc.constantFrom(undefined, policy, open), requester, (of, job) => {
      assert.deepEqual(decideSecret(of, job), {
        kind: "withheld",
        why: "the job belongs to a fork's pull request",
      });
    }),
  );
});

test("a name without a secret is unknown", () => {
  assert.deepEqual(decideSecret(undefined, main), { kind: "unknown" });
});

test("patterns of refs are full refs", () => {
  for (const right of [
    "refs/heads/main",
    "refs/tags/v*",
    "refs/heads/release/*",
    "refs/heads/**",
    "refs/**",
  ]) {
    assert.equal(refPatternProblem(right), null, right);
  }
  for (const wrong of [
    "main",
    "heads/main",
    "refs/*/main",
    "refs/heads/",
    "refs/heads/a b",
    "*",
    "refs/heads/*-*",
    "",
  ]) {
    assert.notEqual(refPatternProblem(wrong), null, wrong);
  }
});

test("names of shells and of the runner cannot be secrets", () => {
  for (const taken of [
    "PATH",
    "SOLSTICE_JOB_ID",
    "PLAN_STEP_1_RUN",
    "LD_PRELOAD",
    "UID",
    "IFS",
    "BASH_ENV",
    "a-b",
    "",
  ]) {
    assert.notEqual(secretNameProblem(taken), null, taken);
  }
  for (const free of ["DEPLOY_TOKEN", "token", "_x", "state", "work"])
    assert.equal(secretNameProblem(free), null);
});

test("a secret's value is not printed by mistake", () => {
  const value = new SecretValue("hunter2");
  const printed = `${value} ${JSON.stringify({ value })} ${inspect({ value }, { showHidden: true, depth: 9 })}`;
  assert.doesNotMatch(printed, /hunter2/);
  assert.equal(value.reveal(), "hunter2");
});
