import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer, request as httpRequest } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { startTestUserServer } from "../../../api/testing/fixture.ts";
import { renewLease } from "../../../store/hosts/hosts.ts";
import { keepArtifacts, sha256 } from "../../testing/kept-artifacts.ts";

test("files are listed, as a table and as JSON, and fetched with their digests", async (t) => {
  const app = randomBytes(300_000);
  const { jobId, directory, server, cli } = await keepArtifacts(t, {
    "dist/app": app,
    "dist/note.txt": Buffer.from("hi"),
    empty: Buffer.alloc(0),
  });
  const table = await cli([jobId]);
  assert.match(table.stdout, /^NAME +SIZE +SHA-256 +AGE\n\S/);
  assert.match(table.stdout, /dist\/app +293 KiB/);
  const listed = JSON.parse((await cli([jobId, "--json"])).stdout);
  assert.deepEqual(
    listed.artifacts.map((one: { name: string; sha256: string }) => [one.name, one.sha256]),
    [
      ["dist/app", sha256(app)],
      ["dist/note.txt", sha256(Buffer.from("hi"))],
      ["empty", sha256(Buffer.alloc(0))],
    ],
  );
  const out = join(directory, "out");
  const got = await cli(["get", jobId, "-o", out, "dist/*.txt", "empty"]);
  assert.deepEqual([got.code, got.stdout], [0, "dist/note.txt\nempty\n"]);
  assert.deepEqual(readdirSync(join(directory, "out", "dist")), ["note.txt"]);
  assert.equal((await cli(["get", jobId, "-o", out])).code, 0);
  assert.deepEqual(readFileSync(join(directory, "out/dist/app")), app);
  const again = JSON.parse((await cli(["get", jobId, "-o", out, "--json"])).stdout);
  assert.ok(again.artifacts.every((one: { state: string }) => one.state === "unchanged"));
  for (const args of [[jobId], ["get", jobId]]) {
    const absent = await cli([...args, "--attempt", "4"]);
    assert.match(`${absent.code} ${absent.stderr}`, /^1 .*has no attempt 4; its latest attempt is 1/);
  }
  const withUser = await cli(
    ["get", jobId, "-o", join(directory, "user")],
    server.url.replace("//", "//u:p@"),
  );
  assert.equal(withUser.code, 0, withUser.stderr);
  const nothing = await cli(["get", jobId, "no/such"]);
  assert.deepEqual([nothing.code, /kept no file that matches no\/such/.test(nothing.stderr)], [1, true]);
});

test("files with hostile names stay in the directory, and a link in it is not followed", async (t) => {
  const x = Buffer.from("x");
  const names = [
    ...["../../escaped", "/absolute", "a\u001b[2J\nb", "LINK/file", "Case", "case", "y".repeat(4000)],
    ...[".git/config", ".envrc", "--checkpoint-action=exec"],
  ];
  const { jobId, directory, cli } = await keepArtifacts(
    t,
    Object.fromEntries(names.map((name) => [name, x])),
  );
  const outside = mkdtempSync(join(tmpdir(), "solstice-outside-"));
  t.after(() => rmSync(outside, { recursive: true }));
  symlinkSync(outside, join(directory, "LINK"));
  symlinkSync(join(outside, "target"), join(directory, "Case"));
  const got = await cli(["get", jobId, "-o", directory]);
  assert.equal(got.code, 1);
  assert.match(got.stderr, /^Case: .*Case exists already with other content.*--force/);
  assert.match(got.stderr, /^LINK\/file: .*LINK exists and is no directory/m);
  assert.deepEqual(readdirSync(outside), []);
  assert.equal(existsSync(join(directory, "../../escaped")), false);
  assert.deepEqual(
    readdirSync(directory)
      .sort()
      .map((name) => name.slice(0, 12)),
    "Case LINK __ __checkpoint _envrc _git a_[2J_b absolute case~2 yyyyyyyyyyyy".split(" "),
  );
  assert.match(got.stdout, /^\.git\/config \(saved as _git\/config\)$/m);
  assert.ok(!got.stdout.includes("\u001b"));
});

test("without --force no file is replaced, and a link in the place of the directory is refused", async (t) => {
  const { jobId, directory, cli } = await keepArtifacts(t, { Makefile: Buffer.from("theirs") });
  const mine = join(directory, "Makefile");
  const get = (...args: string[]) => cli(["get", jobId, ...args]);
  writeFileSync(mine, "mine");
  const kept = await get("-o", directory);
  assert.equal(kept.code, 1);
  assert.equal(kept.stderr.split("--force").length, 2, "the remedy appears once");
  assert.equal(readFileSync(mine, "utf8"), "mine");
  rmSync(mine);
  const elsewhere = join(directory, "elsewhere");
  writeFileSync(elsewhere, "not ours");
  symlinkSync(elsewhere, mine);
  assert.equal((await get("-o", directory)).code, 1);
  assert.equal((await get("-o", directory, "--force")).code, 0);
  assert.deepEqual([readFileSync(mine, "utf8"), readFileSync(elsewhere, "utf8")], ["theirs", "not ours"]);
  assert.equal(statSync(mine).mode & 0o111, 0);
  mkdirSync(join(directory, "real"));
  symlinkSync(join(directory, "real"), join(directory, "out"));
  const refused = await get("-o", join(directory, "out"));
  assert.deepEqual([refused.code, /out is a link; /.test(refused.stderr)], [1, true]);
  assert.deepEqual(readdirSync(join(directory, "real")), []);
});

test("an interrupted download resumes; a damaged file is refused", async (t) => {
  const bytes = randomBytes(2_000_000);
  const { server, jobId, directory, cli, blobs } = await keepArtifacts(t, { big: bytes });
  const offsets: string[] = [];
  // The proxy cuts the first answer in the middle.
  const proxy = createServer((from, to) => {
    const on = httpRequest(
      `${server.url}${from.url}`,
      { method: from.method, headers: from.headers },
      (answer) => {
        to.writeHead(answer.statusCode ?? 500, answer.headers);
        const isFile = from.url?.startsWith("/v1/jobs/");
        if (isFile) offsets.push(new URL(from.url ?? "", "http://x").searchParams.get("offset") ?? "");
        if (!isFile || offsets.length > 1) return void answer.pipe(to);
        answer.once("data", (chunk) => to.write(chunk, () => to.destroy()));
      },
    );
    from.pipe(on);
  });
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  t.after(() => proxy.closeAllConnections());
  t.after(() => proxy.close());
  const got = await cli(
    ["get", jobId, "-o", directory],
    `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
  );
  assert.equal(got.code, 0, got.stderr);
  assert.deepEqual(readFileSync(join(directory, "big")), bytes);
  assert.equal(offsets[0], "0");
  assert.ok(Number(offsets[1]) > 0, String(offsets));

  rmSync(join(directory, "big"));
  // The first half, as a killed command would leave it, with one wrong byte.
  const half = Buffer.from(bytes.subarray(0, 1_000_000));
  half.writeUInt8(half.readUInt8(0) ^ 1, 0);
  writeFileSync(join(directory, `.big.${sha256(bytes).slice(0, 12)}.part`), half);
  assert.equal((await cli(["get", jobId, "-o", directory])).code, 0);
  assert.deepEqual(readFileSync(join(directory, "big")), bytes);

  rmSync(join(directory, "big"));
  for await (const { key } of blobs.list("")) {
    async function* other() {
      yield randomBytes(bytes.length);
    }
    await blobs.write(key, other(), { limitBytes: 1e9 });
  }
  const damaged = await cli(["get", jobId, "-o", directory]);
  assert.equal(damaged.code, 1);
  assert.match(damaged.stderr, /digest differs/);
  assert.deepEqual(readdirSync(directory), []);
});

test("a file that another host has is fetched from that host's API", async (t) => {
  const bytes = randomBytes(1000);
  const { store, blobs, jobId, directory, cli, server } = await keepArtifacts(t, { file: bytes }, "host-2");
  const other = await startTestUserServer(t, {
    store,
    artifacts: { blobs, hostId: "host-2" },
    token: () => "operator",
  });
  const facts = { hostname: "two", apiUrl: null as string | null };
  const reportHost = (apiUrl: string | null) =>
    renewLease(store, { hostId: "host-2", at: 1, facts: { ...facts, apiUrl } as never });
  await reportHost(null);
  const alone = await cli(["get", jobId, "-o", directory]);
  assert.equal(alone.code, 1);
  assert.match(
    alone.stderr,
    /Only host host-2 \(machine two\) has this file\. .*run the command there, or .*API_LISTEN/,
  );
  await reportHost("http://127.0.0.1:1");
  const unreached = await cli(["get", jobId, "-o", directory]);
  assert.equal(unreached.code, 1);
  assert.match(
    unreached.stderr,
    /from host host-2, the only host with this file, at http:\/\/127\.0\.0\.1:1/,
  );
  await reportHost(other.url);
  const got = await cli(["get", jobId, "-o", directory]);
  assert.equal(got.code, 0, got.stderr);
  assert.deepEqual(readFileSync(join(directory, "file")), bytes);
  const listed = JSON.parse((await cli([jobId, "--json"])).stdout).artifacts[0];
  assert.deepEqual([listed.host_id, listed.api_url], ["host-2", other.url]);
  assert.notEqual(server.url, other.url);
});

test("the route requires the token, and its headers keep a browser from running the file", async (t) => {
  const { server, jobId } = await keepArtifacts(t, { 'a/"x";\r\nüber.html': Buffer.from("<script>") });
  const id = sha256(Buffer.from('a/"x";\r\nüber.html')).slice(0, 32);
  const get = (path: string, headers = {}) => fetch(`${server.url}/v1/jobs/${path}`, { headers });
  const authorization = "Bearer operator";
  assert.equal((await get(`${jobId}/artifacts/1/${id}`)).status, 401);
  const response = await get(`${jobId}/artifacts/1/${id}`, { authorization });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("x-content-type-options"), "nosniff");
  assert.equal(response.headers.get("content-type"), "application/octet-stream");
  const disposition = response.headers.get("content-disposition");
  assert.equal(
    disposition,
    `attachment; filename="_x_____ber.html"; filename*=UTF-8''%22x%22%3B%0D%0A%C3%BCber.html`,
  );
  for (const path of [
    `${jobId}/artifacts/2/${id}`,
    `${jobId}/artifacts/1/${"0".repeat(32)}`,
    `${jobId}/artifacts/1/..%2f${id}`,
  ])
    assert.equal((await get(path, { authorization })).status, 404, path);
});
