import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { isExhaustive } from "../../../test/support/sampling.ts";
import type { PlannedArtifact } from "../../core/request/artifacts.ts";
import { guestsFor, missingFor } from "../testing/guest-kinds.ts";
import type { RunnerEndpoint } from "../testing/runner-endpoint.ts";
import { assertProven, RunnerHarness, stepsOf } from "../testing/runner-harness.ts";

let harness: RunnerHarness;
before(async () => {
  harness = await RunnerHarness.create();
});
after(() => harness.close());

/** Artifact patterns that are required by default. */
const keep = (patterns: string[], given: Partial<PlannedArtifact> = {}): PlannedArtifact[] =>
  patterns.map((pattern) => ({ pattern, required: true, when: "always", ...given }));

const hostileFiles = `mkdir -p 'dist/a b' dist/.git ./-d
  printf one >'dist/a b/-rf'; printf two >"dist/new
line"; printf three >'dist/back\\slash\\n'; : >dist/empty; printf h >dist/.hidden; printf g >dist/.git/config
  printf x >"-d/-x.txt"; printf y >top.txt; ln -s /etc/passwd dist/link; ln -s dist linked; printf q >"quo\\"te's \\$x"
  printf '\\377' >"$(printf 'dist/\\377')"`;

/** Fails two of the chunk calls, one before the chunk is stored and one after, and refuses the first finish. */
function failInTheMiddle(endpoint: RunnerEndpoint): void {
  let [chunks, ends] = [0, 0];
  endpoint.fault = ({ method }) => {
    if (method === "FinishUpload") return ends++ === 0 ? 503 : null;
    if (method !== "upload" && method !== "AppendUpload") return null;
    chunks += 1;
    return chunks === 2 ? "drop" : chunks === 4 ? "drop-after" : null;
  };
}

/** More than 20, the number of refusals after which a runner stops sending. */
const manyFiles = isExhaustive ? 300 : 30;

describe("artifacts of a job", { concurrency: 4 }, () => {
  for (const kind of guestsFor("names of artifacts")) {
    test(`files with any name are kept, directories with all their files, links never: ${kind.name}`, {
      skip: missingFor(kind),
    }, async () => {
      const artifacts = keep(["dist", "**/*.txt", "quo*", "linked/*", "dist/link"], { required: false });
      const { endpoint, exit } = await harness.start({
        kind,
        plan: { steps: stepsOf(hostileFiles), artifacts },
      });
      assert.equal(await exit, 0);
      assert.deepEqual(
        [...endpoint.uploads.stored()].sort(([a], [b]) => (a < b ? -1 : 1)),
        [
          ["-d/-x.txt", "x"],
          ["dist/.hidden", "h"],
          ["dist/a b/-rf", "one"],
          ["dist/back\\slash\\n", "three"],
          ["dist/empty", ""],
          ["dist/new\nline", "two"],
          ["dist/\xff", "\xff"],
          [`quo"te's $x`, "q"],
          ["top.txt", "y"],
        ].sort(([a = ""], [b = ""]) => (a < b ? -1 : 1)),
      );
      assert.match(endpoint.text(), /dist\/link is a symbolic link, or behind one: not kept/);
      assert.match(endpoint.text(), /artifacts 'dist': kept 6 of 6 files/);
      assert.deepEqual([endpoint.finish?.exitCode, endpoint.finish?.failure], [0, ""]);
      assertProven(endpoint);
    });
  }

  for (const kind of guestsFor("an artifact of many chunks")) {
    test(`a file of many chunks arrives although calls fail in between: ${kind.name}`, {
      skip: missingFor(kind),
    }, async () => {
      // The bytes include 0, at which the wget of busybox would end a posted file.
      const script = "yes solstice | head -c 2999999 >big; printf '\\000x' >>big";
      const { endpoint, exit } = await harness.start({
        kind,
        plan: { steps: stepsOf(script), artifacts: keep(["big"]) },
        prepare: failInTheMiddle,
      });
      assert.equal(await exit, 0);
      assert.equal(
        endpoint.uploads.stored().get("big"),
        `${"solstice\n".repeat(400_000).slice(0, 2_999_999)}\0x`,
      );
      assert.equal(endpoint.finish?.failure, "");
    });
  }

  test("a pattern without a match fails the job, or is only logged, and a failed step takes precedence", async () => {
    const missing = async (given: Partial<PlannedArtifact>, script = "true") => {
      const { endpoint, exit } = await harness.start({
        plan: { steps: stepsOf(script), artifacts: keep(["no/such-*"], given) },
      });
      assert.equal(await exit, 0);
      assert.match(endpoint.text(), /no\/such-\*/);
      return [endpoint.finish?.exitCode, endpoint.finish?.failure, endpoint.finish?.failureDetail];
    };
    assert.deepEqual(await missing({}), [
      0,
      "artifact_missing",
      "no file matches the artifact pattern 'no/such-*'",
    ]);
    assert.deepEqual(await missing({ required: false }), [0, "", ""]);
    assert.deepEqual((await missing({}, "exit 3")).slice(0, 2), [3, ""]);
  });

  test("files are kept always, or depending on the result of the steps", async () => {
    for (const [script, expected] of [
      ["true", ["a", "s"]],
      ["exit 1", ["a", "f"]],
    ] as const) {
      const artifacts = [
        ...keep(["a"]),
        ...keep(["s"], { when: "success" }),
        ...keep(["f"], { when: "failure" }),
      ];
      const steps = stepsOf("touch a s f", script);
      const { endpoint, exit } = await harness.start({ plan: { steps, artifacts } });
      await exit;
      assert.deepEqual([...endpoint.uploads.stored().keys()], expected);
    }
  });

  test("a refused file is named in the log and in Finish; the others are kept", async () => {
    for (const required of [true, false]) {
      const { endpoint, exit } = await harness.start({
        plan: { steps: stepsOf("mkdir d; touch d/1 d/2 d/3"), artifacts: keep(["d/*"], { required }) },
        prepare(endpoint) {
          endpoint.uploads.refuse = ({ name }) => (name === "d/2" ? "it has too much of it" : "");
        },
      });
      await exit;
      const sentence = "artifact d/2 is not kept: it has too much of it";
      assert.ok(endpoint.text().includes(`solstice: ${sentence}\n`));
      assert.deepEqual([...endpoint.uploads.stored().keys()], ["d/1", "d/3"]);
      const { failure, failureDetail } = endpoint.finish ?? {};
      assert.deepEqual([failure, failureDetail], [required ? "artifact_refused" : "", sentence]);
    }
  });

  test("damaged data is sent again, and the upload fails when it is damaged each time", async () => {
    for (const times of [1, 9]) {
      let left = times;
      const { endpoint, exit } = await harness.start({
        plan: { steps: stepsOf("echo content >file"), artifacts: keep(["file"]) },
        prepare(endpoint) {
          endpoint.uploads.damage = (bytes) =>
            left-- > 0 ? Buffer.from(bytes.map((byte) => byte ^ 1)) : bytes;
        },
      });
      await exit;
      assert.equal(endpoint.uploads.stored().get("file"), times === 1 ? "content\n" : undefined);
      assert.equal(endpoint.finish?.failure, times === 1 ? "" : "artifact_refused");
    }
  });

  test("a stopped job sends no more files", async () => {
    const { endpoint, exit } = await harness.start({
      plan: { steps: stepsOf("touch 1 2 3 4 5"), artifacts: keep(["?"]) },
      prepare(endpoint) {
        endpoint.fault = ({ method }) => {
          if (method !== "BeginUpload") return null;
          endpoint.stop = true;
          return 503;
        };
      },
    });
    await exit;
    assert.deepEqual([...endpoint.uploads.stored().keys()], []);
    assertProven(endpoint);
  });

  test(`${manyFiles} files are kept`, async () => {
    const { endpoint, exit } = await harness.start({
      plan: {
        steps: stepsOf(`mkdir d; for i in $(seq ${manyFiles}); do echo $i >d/$i; done`),
        artifacts: keep(["d/**"]),
      },
    });
    await exit;
    assert.equal(endpoint.uploads.stored().size, manyFiles);
  });
});
