import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { accessSync, readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { isSolsticeError } from "../../core/errors.ts";
import { buildPlan, type PlanInput } from "./plan.ts";

const shells = [["/bin/dash"], ["/bin/bash", "--posix"], ["/bin/busybox", "ash"], ["/bin/mksh"]].filter(
  ([path]) => {
    try {
      accessSync(path ?? "");
      return true;
    } catch {
      return false;
    }
  },
);

const job: PlanInput = {
  jobId: "j1",
  attempt: 2,
  repoUrl: null,
  commitSha: null,
  ref: null,
  env: {},
  steps: [],
  artifacts: [],
  cleanupSeconds: 60,
  deadlineSeconds: 1.5,
};

/** Sources a plan in a real shell and prints `expressions`, each ended by a NUL. */
function evaluate(shell: readonly string[], plan: string, expressions: readonly string[]): string[] {
  const script = `${plan}\nprintf '%s\\0' ${expressions.map((name) => `"$${name}"`).join(" ")}`;
  const [program = "/bin/sh", ...args] = shell;
  const output = execFileSync(program, [...args, "-s"], { input: script }).toString("utf8");
  return output.split("\0").slice(0, -1);
}

const hostile = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        "'",
        '"',
        "\\",
        "$(id)",
        "`id`",
        "\n",
        "\r",
        "-n",
        "%s",
        "!",
        "*",
        "~",
        "'\\''",
        "\t",
        "é",
        "\u0001",
      ),
      fc.string({ unit: "binary" }),
    ),
  )
  .map((parts) => parts.join("").replaceAll("\0", "").toWellFormed());

for (const shell of shells) {
  test(`any string is preserved: ${shell.join(" ")}`, () => {
    fc.assert(
      fc.property(hostile, hostile, hostile, (name, run, value) => {
        const plan = buildPlan({ ...job, env: { A_1: value }, steps: [{ name, run }] });
        const read = evaluate(shell, plan, [
          "PLAN_STEP_1_NAME",
          "PLAN_STEP_1_RUN",
          "PLAN_ENV_1",
          "PLAN_COMPLETE",
        ]);
        assert.deepEqual(read, [name, run, `A_1=${value}`, "yes"]);
      }),
      { numRuns: 60 },
    );
  });
}

test("a job without a repository has empty words, and integers", () => {
  const [shell = ["/bin/sh"]] = shells;
  const names = [
    "PLAN_REPO_URL",
    "PLAN_COMMIT",
    "PLAN_REF",
    "PLAN_DEADLINE_SECONDS",
    "PLAN_STEP_COUNT",
    "PLAN_ATTEMPT",
  ];
  assert.deepEqual(evaluate(shell, buildPlan(job), names), ["", "", "", "2", "0", "2"]);
});

test("values that no shell can store are rejected", () => {
  const refused = (input: Partial<PlanInput>) =>
    assert.throws(
      () => buildPlan({ ...job, ...input }),
      (error) => isSolsticeError(error, "usage"),
    );
  refused({ steps: [{ name: "a", run: "echo \0" }] });
  refused({ env: { "-u": "x" } });
  refused({ env: { "A=B": "x" } });
});

test("docs/reference/runner-protocol.md documents every variable of a plan", () => {
  const page = readFileSync(new URL("../../../docs/reference/runner-protocol.md", import.meta.url), "utf8");
  const secrets = [{ name: "A", value: "b" }];
  const plan = buildPlan({ ...job, env: { A: "b" }, secrets, steps: [{ name: "a", run: "b" }] });
  const names = [...plan.matchAll(/^(PLAN_\w+)=/gm)].map(([, name = ""]) => name.replace(/_1(?=_|$)/, "_N"));
  const elsewhere = /^PLAN_(ARTIFACT|CACHE)/;
  for (const name of names.filter((each) => !elsewhere.test(each)))
    assert.match(page, new RegExp(`\`${name}\``));
});
