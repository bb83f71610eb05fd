import assert from "node:assert/strict";
import { test } from "node:test";
import type { SecretPolicy } from "./policy.ts";
import type { CheckoutUse, Secret } from "./secret.ts";
import { SecretValue } from "./secret-value.ts";
import { secretsOfJob } from "./secrets-of-job.ts";

const everywhere: SecretPolicy = { repositories: ["example.org/**"], refs: "any", withoutRepository: false };
const mainOnly: SecretPolicy = { ...everywhere, refs: ["refs/heads/main"] };

function setOf(...secrets: [name: string, policy: SecretPolicy, checkout?: CheckoutUse][]) {
  return new Map(
    secrets.map(([name, policy, checkout = null]): [string, Secret] => [
      name,
      { name, value: new SecretValue(`value of ${name}`), policy, checkout },
    ]),
  );
}

const request = {
  secrets: ["DEPLOY", "TOKEN", "TOKEN", "MISSING"],
  from_fork: false,
  repo_url: "https://example.org/acme/app",
  ref: "refs/heads/topic",
};
const secrets = setOf(
  ["DEPLOY", mainOnly],
  ["TOKEN", everywhere],
  ["OTHER", everywhere],
  ["GIT_MAIN", mainOnly, { kind: "ssh_key" }],
  ["GIT", everywhere, { kind: "password", username: "ci" }],
);

test("each name is given, withheld with a line for the log, or unknown", () => {
  const { given, notes, unknown, checkout } = secretsOfJob(secrets, request);
  assert.deepEqual(
    given.map(({ name }) => name),
    ["TOKEN"],
  );
  assert.deepEqual(notes, [
    "solstice: secret DEPLOY is withheld: the secret is not for ref refs/heads/topic",
    "solstice: secret MISSING is withheld: this host has no such secret any more",
  ]);
  assert.deepEqual(unknown, ["MISSING"]);
  assert.equal(checkout?.name, "GIT", "the first checkout secret that this job may have");
});

test("exactly the secrets that a job names, given or not, and its checkout's secret are masked", () => {
  const { masked } = secretsOfJob(secrets, request);
  assert.deepEqual(masked, ["value of DEPLOY", "value of TOKEN", "value of GIT"]);
});

test("a fork's job gets no secret, not even for its checkout", () => {
  const { given, notes, unknown, checkout } = secretsOfJob(secrets, { ...request, from_fork: true });
  assert.deepEqual([given, unknown, checkout], [[], [], null]);
  assert.equal(notes.length, 3);
});
