import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isSolsticeError } from "../errors.ts";
import {
  jobRequestSchema,
  parseJobRequest,
  requestLimits,
  stepsOf,
  unknownRequestKeys,
  unknownRequestPlaces,
} from "./job-request.ts";

const least = { request_id: "0b6f1d3e-6f0a-4a52-9d55-0d5d7f0f7a10", script: "make test" };
const commit = { repo_url: "https://example.org/a.git", commit_sha: "a".repeat(40) };

/** The error text for a request that is not accepted. */
function problemsOf(input: unknown): string {
  try {
    parseJobRequest(input);
  } catch (error) {
    assert.ok(isSolsticeError(error, "usage"), String(error));
    return error.message;
  }
  return assert.fail(`accepted: ${JSON.stringify(input)?.slice(0, 200)}`);
}

const fields = Object.keys(jobRequestSchema.shape);
const refuses = (given: object, words: RegExp) => assert.match(problemsOf({ ...least, ...given }), words);
const accepts = (given: object) => parseJobRequest({ ...least, ...given });

test("the least request is accepted, and defaults are filled in", () => {
  assert.deepEqual(parseJobRequest(least), {
    ...least,
    schema_version: "jobrequest.v1",
    source: "unknown",
    artifacts: [],
    env: {},
    secrets: [],
    priority: 0,
    from_fork: false,
  });
});

test("all problems are reported at once, each with its place", () => {
  const message = problemsOf({
    request_id: "no uuid",
    repo_url: "file:///etc/passwd",
    commit_sha: "HEAD",
    steps: [
      { name: "ok", run: "true" },
      { name: "two\nlines", run: "" },
    ],
    env: { "BAD-NAME": "1" },
    timeout_seconds: 0,
    priority: 1000,
  });
  const places = [
    "request_id:",
    "repo_url:",
    "commit_sha:",
    "steps.1.name:",
    "steps.1.run:",
    "env.BAD-NAME:",
    "timeout_seconds:",
    "priority:",
  ];
  for (const place of places) assert.ok(message.includes(place), `${place} is missing in ${message}`);
});

test("either steps or a script, and a repository with its commit", () => {
  refuses({ script: undefined }, /steps and script are both missing; give one of the two/);
  refuses({ steps: [{ name: "a", run: "b" }] }, /steps and script are both given; give one of the two/);
  refuses({ repo_url: commit.repo_url }, /repo_url and commit_sha must be given together/);
  refuses({ commit_sha: commit.commit_sha }, /repo_url and commit_sha must be given together/);
  accepts(commit);
  accepts({ ...commit, commit_sha: "b".repeat(64) });
});

test("the error about a size is in words of our own", () => {
  refuses({ runs_on: "" }, /runs_on: is empty; /);
  refuses({ script: undefined, steps: [] }, /valid: steps: is empty; [^;]*$/);
  refuses({ script: undefined, steps: 5 }, /valid: steps: needs a list\.$/);
  refuses({ size: "x".repeat(101) }, /size: must have at most 100 characters/);
  refuses(
    { priority: 101, timeout_seconds: 0 },
    /timeout_seconds: must be at least 1; priority: must be at most 100/,
  );
  refuses({ cache: { key: "a", paths: ["/"] } }, /cache\.0\.paths\.0: must not be absolute/);
  fc.assert(
    fc.property(fc.constantFrom(...fields), fc.anything(), (field, value) => {
      try {
        parseJobRequest({ ...least, [field]: value });
      } catch (error) {
        assert.doesNotMatch(String(error), /Too |Invalid |expected/, JSON.stringify({ [field]: value }));
      }
    }),
  );
});

test("the error about a value of another type does not show it: the value may be a secret", () => {
  refuses(
    { script: undefined, steps: [{ run: true }] },
    /steps\.0\.name: is missing; needs a text; steps\.0\.run: needs a text; write it in quotes/,
  );
  refuses({ env: { TOKEN: 12345 } }, /^[^1-5]*env\.TOKEN: needs a text; write it in quotes\.$/);
  refuses({ script: undefined, steps: "make" }, /steps: needs a list\.$/);
  refuses({ priority: "high" }, /priority: needs a number/);
});

test("repository URLs that git would read as an option, a command or a file are refused", () => {
  for (const repo_url of [
    "--upload-pack=touch /tmp/owned",
    "ext::sh -c touch% /tmp/owned",
    "file:///etc",
    "/etc",
    "git@-oProxyCommand=x:a.git",
    "-oProxyCommand=x@example.org:a.git",
    "git@example.org:-a",
    "git@example.org:a b",
    "ext::git@example.org:a",
    "javascript:alert(1)",
    "git@example.org",
    "https://",
    "https://example.org/a b",
    "https://example.org/a\nb",
    "https://example.org/a\0b",
    "ftp://example.org/a",
    `https://example.org/${"a".repeat(requestLimits.urlChars)}`,
  ]) {
    refuses({ ...commit, repo_url }, /repo_url:/);
  }
  for (const repo_url of ["http://10.0.0.1:3000/a/b.git", "ssh://git@example.org/a", "git://example.org/a"]) {
    accepts({ ...commit, repo_url });
  }
  for (const repo_url of ["git@h:a.git", "[git@h:2222]:a.git", "git@[2001:db8::1]:a/b", "h.example:/srv/a"]) {
    accepts({ ...commit, repo_url });
  }
});

test("invalid commits and refs are refused", () => {
  for (const commit_sha of ["", "a".repeat(39), "A".repeat(40), `${"a".repeat(40)}\n`, "-".repeat(40)]) {
    refuses({ ...commit, commit_sha }, /commit_sha:/);
  }
  for (const ref of ["", "-f", "a b", "a\nb", "a~1", "a^", "a:b", "a?", "a*", "a[", "a\\b", "a\0b"]) {
    refuses({ ref }, /ref:/);
  }
  accepts({ ref: "refs/heads/größe/ok-1.2" });
});

test("names of variables are names; values may be anything but NUL", () => {
  for (const name of ["", "1A", "A-B", "A B", "A=B", "A\nB", "Ä", "a".repeat(201)])
    refuses({ env: { [name]: "" } }, /env/);
  refuses({ env: { A: "a\0b" } }, /NUL/);
  refuses({ secrets: ["A;B"] }, /secrets\.0:/);
  assert.deepEqual(accepts({ env: { A: "$(id) `id` '\"\n\u202e😀" } }).env, {
    A: "$(id) `id` '\"\n\u202e😀",
  });
});

test("the error about an invalid variable name explains valid names, and is short", () => {
  refuses(
    { env: { "A-B": "1" } },
    /env\.A-B: this name cannot be used: it must be a name like CARGO_HOME\.$/,
  );
  assert.ok(problemsOf({ ...least, env: { ["-".repeat(100_000)]: "1" } }).length < 500);
});

test("the error about an unknown value lists the valid ones", () => {
  refuses({ schema_version: "v2" }, /schema_version: needs "jobrequest\.v1"/);
  refuses(
    { artifacts: [{ paths: ["a"], when: "never" }] },
    /artifacts\.0\.when: needs "always" or "success" or "failure"/,
  );
  refuses({ submitted_at: "today" }, /submitted_at: must be a time such as 2026-/);
  refuses({ request_id: "7" }, /request_id: must be a UUID such as 0198/);
});

test("an empty repository or commit counts as absent; other empty texts are mistakes", () => {
  const empty = { repo_url: "", repo_owner: "", repo_name: "", commit_sha: "" };
  const input = { ...least, source: "Manual", ...empty };
  const request = parseJobRequest(input);
  for (const key of Object.keys(empty)) assert.ok(!Object.hasOwn(request, key), key);
  assert.deepEqual(unknownRequestPlaces(input), []);
  for (const key of ["runs_on", "size", "ref", "script"]) {
    assert.throws(() => parseJobRequest({ ...input, [key]: "" }), new RegExp(`${key}: `), key);
  }
  const half = { ...input, repo_url: "https://example.org/a.git" };
  assert.throws(() => parseJobRequest(half), /repo_url and commit_sha must be given together/);
});

test("a field that is null counts as absent, at any depth; a variable does not", () => {
  assert.deepEqual(
    accepts({
      ref: null,
      size: null,
      env: null,
      artifacts: null,
      cache: null,
      repo_url: null,
      priority: null,
    }),
    parseJobRequest(least),
  );
  assert.deepEqual(
    parseJobRequest({
      request_id: least.request_id,
      script: null,
      steps: [{ name: "a", run: "b", always: null, timeout_seconds: null }],
      artifacts: [{ paths: ["a"], when: null, required: null }],
      cache: [{ key: "a", paths: ["b"], restore_keys: null }],
    }),
    parseJobRequest({
      request_id: least.request_id,
      steps: [{ name: "a", run: "b" }],
      artifacts: [{ paths: ["a"] }],
      cache: [{ key: "a", paths: ["b"] }],
    }),
  );
  refuses({ env: { A: null } }, /env\.A: needs a text/);
  refuses({ script: null }, /steps and script are both missing/);
  assert.match(problemsOf({ script: "true", request_id: null }), /request_id: is missing/);
});

test("request ids are UUIDs of every version, also UUIDs made from a hash", () => {
  for (const request_id of ["d41d8cd9-8f00-b204-e980-0998ecf8427e", "00000000-0000-0000-0000-000000000000"]) {
    assert.equal(accepts({ request_id }).request_id, request_id);
  }
});

test("names of built-in properties are harmless as variables", () => {
  const env = JSON.parse('{"__proto__": "x", "constructor": "y"}');
  const parsed = accepts({ env });
  assert.equal(Object.getPrototypeOf(parsed.env), Object.prototype);
  assert.equal(Object.hasOwn(parsed.env, "constructor"), true);
});

test("all input has limits, counted in bytes where it is stored in bytes", () => {
  const step = { name: "s", run: "true" };
  const steps = (count: number) => ({ script: undefined, steps: Array(count).fill(step) });
  accepts(steps(requestLimits.steps));
  refuses(steps(requestLimits.steps + 1), /steps:/);
  refuses({ script: undefined, steps: [] }, /steps:/);
  accepts({ script: "x".repeat(requestLimits.scriptBytes) });
  refuses({ script: "x".repeat(requestLimits.scriptBytes + 1) }, /script:/);
  refuses({ script: "" }, /script:/);
  refuses({ script: "a\0b" }, /NUL/);
  const large = { name: "s", run: "x".repeat(requestLimits.scriptBytes) };
  refuses({ script: undefined, steps: [large, step] }, /all scripts together/);
  // As JSON each of these characters has six bytes.
  refuses({ script: "\u0001".repeat(100_000) }, /request: is longer than 524288 bytes as JSON/);
  refuses({ env: { A: "x".repeat(requestLimits.envValueBytes + 1) } }, /env\.A:/);
  const manyNames = Object.fromEntries(
    Array.from({ length: requestLimits.envEntries + 1 }, (_, index) => [`A${index}`, ""]),
  );
  refuses({ env: manyNames }, /env: at most 500 entries/);
  refuses({ timeout_seconds: requestLimits.timeoutSecondsMax + 1 }, /timeout_seconds:/);
  refuses({ timeout_seconds: 1.5 }, /timeout_seconds:/);
  refuses({ priority: Number.NaN }, /priority:/);
});

test("scripts get the form for a shell, whatever the editor", () => {
  assert.equal(accepts({ script: "#!/bin/bash\r\necho one\r\n" }).script, "#!/bin/bash\necho one\n");
  const steps = [{ name: "a", run: "\ufeffecho one\r\necho two\r\n" }];
  assert.equal(accepts({ script: undefined, steps }).steps?.[0]?.run, "echo one\necho two\n");
  refuses({ script: "\ufeff" }, /script:/);
});

test("the limit of a script counts bytes, not characters", () => {
  refuses({ script: "😀".repeat(requestLimits.scriptBytes / 4 + 1) }, /script:/);
  refuses({ env: { A: "ä".repeat(requestLimits.envValueBytes / 2 + 1) } }, /env\.A:/);
});

test("any input becomes a request or a usage error, and parsing a request again changes nothing", () => {
  const almost = fc.record(
    {
      request_id: fc.oneof(fc.uuid(), fc.string()),
      script: fc.oneof(fc.string(), fc.integer()),
      ref: fc.string(),
      env: fc.dictionary(fc.string(), fc.string()),
      priority: fc.double(),
      timeout_seconds: fc.oneof(fc.integer(), fc.constant(null)),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(fc.oneof(almost, fc.anything()), (input) => {
      try {
        const parsed = parseJobRequest(input);
        assert.deepEqual(parseJobRequest(JSON.parse(JSON.stringify(parsed))), parsed);
      } catch (error) {
        if (!isSolsticeError(error, "usage")) throw error;
      }
    }),
  );
});

test("keys of a newer version are dropped, and named", () => {
  const input = { ...least, matrix: [1], colour: "red" };
  assert.deepEqual(unknownRequestKeys(input), ["matrix", "colour"]);
  const written = { ...input, ref: null, also: null };
  const places = [["matrix"], ["colour"], ["also"]];
  const found = unknownRequestPlaces(written).map(({ path }) => path);
  assert.deepEqual(found, places);
  assert.deepEqual(parseJobRequest(input), parseJobRequest(least));
  refuses({ schema_version: "jobrequest.v2" }, /schema_version:/);
});

test("a script without steps is one step", () => {
  assert.deepEqual(stepsOf(parseJobRequest(least)), [{ name: "script", run: "make test" }]);
  const steps = [{ name: "a", run: "b" }];
  assert.deepEqual(stepsOf(accepts({ script: undefined, steps })), steps);
});

test("a request id is the same in upper and lower case", () => {
  const { request_id } = parseJobRequest({ ...least, request_id: least.request_id.toUpperCase() });
  assert.equal(request_id, least.request_id);
});
