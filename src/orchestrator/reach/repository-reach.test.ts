import assert from "node:assert/strict";
import { test } from "node:test";
import { verdict } from "../../core/job/verdict.ts";
import { parseJobRequest } from "../../core/request/job-request.ts";
import { imageDefinition, imageMapOf } from "../../images/testing/fixtures.ts";
import { createLookUps } from "./look-up.ts";
import { createRepositoryReach, explainCheckout, type ReachParts } from "./repository-reach.ts";

const addresses: Readonly<Record<string, string[]>> = {
  "git.lan": ["10.0.0.5"],
  "git.example": ["203.0.113.9"],
};

function setUp(change: { backend?: "libvirt" | "zones" | "noop"; firewall?: "on" | "off" } = {}) {
  const warned: object[] = [];
  const lookUp = async (host: string) => addresses[host] ?? new Promise<never>(() => {});
  const parts: ReachParts = {
    config: {
      firewall: change.firewall ?? "on",
      guestLanAccess: [],
      guestHostPorts: [],
      imageMap: imageMapOf(imageDefinition({ name: "red", localPath: "/nonexistent" })),
    },
    hypervisor: { backend: change.backend ?? "libvirt", runnerHost: async () => "192.168.122.1" },
    log: { warn: (fields: object) => void warned.push(fields) },
    lookUp,
    apiRetryMs: 5,
  };
  return { reach: createRepositoryReach(parts), warned };
}

function jobOf(repoUrl: string, image = "red") {
  const request = parseJobRequest({
    request_id: "4b7cf2a5-5f0e-4f0b-9f52-6b1f0d1f7a11",
    script: "true",
    repo_url: repoUrl,
    commit_sha: "0".repeat(40),
  });
  return { id: "7k3m9x", image, request };
}

const lan = jobOf("https://git.lan/a/b.git");

test("an unreachable repository has a reason, and the last answer is cached for callers that cannot wait", async () => {
  const { reach } = setUp();
  assert.equal(reach.lastAnswer(lan), null);
  assert.match(
    (await reach.whyUnreachable(lan)) ?? "",
    /git\.lan \(10\.0\.0\.5\).*GUEST_LAN_ACCESS=10\.0\.0\.5/,
  );
  assert.equal(reach.lastAnswer(lan), await reach.whyUnreachable(lan));
  assert.equal(await reach.whyUnreachable(jobOf("https://git.example/a.git")), null);
});

test("other backends, no firewall and images of other hosts give no firewall reason", async () => {
  for (const change of [{ backend: "zones" }, { backend: "noop" }, { firewall: "off" }] as const)
    assert.equal(await setUp(change).reach.whyUnreachable(lan), null);
  assert.equal(await setUp().reach.whyUnreachable(jobOf("https://git.lan/a.git", "elsewhere")), null);
  const localhost = jobOf("http://127.0.0.1:3000/a.git");
  assert.match((await setUp({ backend: "zones" }).reach.whyUnreachable(localhost)) ?? "", /the guest itself/);
  assert.equal(await setUp({ backend: "noop" }).reach.whyUnreachable(localhost), null);
});

test("jobs are reduced to one for each server and image, without jobs that have no repository", () => {
  const { reach } = setUp();
  const none = { ...lan, request: { ...lan.request, repo_url: undefined } };
  const jobs = [lan, jobOf("https://git.lan/other.git"), jobOf("http://git.lan/a.git"), none];
  assert.equal(reach.distinct(jobs).length, 2);
});

test("a name that does not resolve in time causes no delay and gives no reason", async () => {
  assert.equal(await setUp().reach.whyUnreachable(jobOf("https://slow.example/a.git")), null);
});

test("the log has each reason once for each server", async () => {
  const { reach, warned } = setUp();
  for (const job of [lan, jobOf("https://git.lan/other.git"), jobOf("http://10.9.9.9/a.git"), lan])
    await reach.report(job);
  assert.equal(warned.length, 2);
});

test("the verdict of a failed checkout names the setting, other verdicts do not change", async () => {
  const { reach } = setUp();
  const failed = await explainCheckout(reach, lan, verdict("checkout_failed", "It failed.", 128));
  assert.match(failed.message, /^It failed\. .*GUEST_LAN_ACCESS=/);
  assert.equal(await explainCheckout(reach, lan, failed), failed);
  const step = verdict("step_failed", "It failed.", 1);
  assert.equal(await explainCheckout(reach, lan, step), step);
});

test("look-ups are shared and cached for a minute, and at most two are open", async () => {
  const resolved: string[] = [];
  const answer = Promise.withResolvers<string[]>();
  let now = 0;
  const lookUp = createLookUps(
    (host) => {
      resolved.push(host);
      return answer.promise;
    },
    () => now,
  );
  const open = [lookUp("a"), lookUp("a"), lookUp("b")];
  assert.deepEqual(await lookUp("c"), []);
  answer.resolve(["192.0.2.1"]);
  assert.deepEqual(await Promise.all(open), [["192.0.2.1"], ["192.0.2.1"], ["192.0.2.1"]]);
  await lookUp("a");
  assert.deepEqual(resolved, ["a", "b"]);
  now = 60_000;
  await lookUp("a");
  await lookUp("c");
  assert.deepEqual(resolved, ["a", "b", "a", "c"]);
});
