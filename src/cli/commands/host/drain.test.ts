import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { exitCodes } from "../../print/exit-codes.ts";
import { addJob, type FakeApi, startFakeApi } from "../../testing/fake-api.ts";
import { runCli } from "../../testing/run-cli.ts";

let api: FakeApi;
before(async () => {
  api = await startFakeApi();
  addJob(api, "7k3m9x", { state: "running" });
});
after(() => api.stop());

const drain = (...options: string[]) => runCli(["drain", "--api-url", api.url, ...options]);

test("when --timeout expires, the jobs are listed once, and the drain lasts until --end", async () => {
  const { code, stdout, stderr } = await drain("--timeout", "1s");
  assert.equal(code, exitCodes.timedOut, stderr);
  assert.equal(stdout.split("7k3m9x").length, 2, stdout);
  assert.match(stdout, /1 job is left on host host-a\. The drain continues\..*solstice drain --end\n$/s);
});

test("with --no-wait the jobs are listed, and the command that ends the drain", async () => {
  const { code, stdout } = await drain("--no-wait");
  assert.equal(code, 0);
  assert.match(stdout, /^Host host-a.*7k3m9x.*continues.*--end\n$/s);
});

test("options that contradict each other are refused before any call", async () => {
  for (const options of [
    ["--end", "--timeout", "1s"],
    ["--end", "--no-wait"],
    ["--no-wait", "--timeout", "1s"],
  ]) {
    const { code, stderr, stdout } = await drain(...options);
    assert.deepEqual([code, stdout], [exitCodes.usage, ""], options.join(" "));
    for (const option of options.filter((word) => word.startsWith("--")))
      assert.match(stderr, new RegExp(option));
  }
});
