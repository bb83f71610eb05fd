/** `cache.sh` in every shell, with every client, against the real server with a real store and real blobs. */
import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, type TestContext, test } from "node:test";
import {
  bootJob,
  endAttempt,
  insertTestJob,
  openTestStore,
  startTestRunnerServer,
} from "../../api/testing/fixture.ts";
import { cacheDownloads, cacheUploadKind } from "../../attempts/caches/cache-kind.ts";
import { createTestCaches } from "../../attempts/testing/caches.ts";
import { openTestTransfers } from "../../attempts/testing/transfers.ts";
import { stepNamesOf } from "../../core/job/step-names.ts";
import { cachesOf, stepsOf } from "../../core/request/job-request.ts";
import { listCacheUses } from "../../store/files/caches.ts";
import { readLog } from "../../store/logs/logs.ts";
import { buildPlan } from "../seed/plan.ts";
import {
  type GuestKind,
  guestKinds,
  guestsFor,
  missingFor,
  shellsAndClients,
} from "../testing/guest-kinds.ts";
import { RunnerHarness } from "../testing/runner-harness.ts";

let harness: RunnerHarness;
before(async () => {
  harness = await RunnerHarness.create();
});
after(() => harness.close());

/** Runs jobs with caches, one after the other; each returns its log and its uses of the caches. */
async function setUp(t: TestContext) {
  const store = await openTestStore(t);
  const caches = createTestCaches(store);
  const kinds = { uploads: { cache: cacheUploadKind(caches) }, downloads: { cache: cacheDownloads(store) } };
  const transfers = await openTestTransfers(t, store, { kinds });
  const { url } = await startTestRunnerServer(t, {
    store,
    caches,
    transfers,
    buildPlan: ({ id, attempt, request }) => ({
      masked: [],
      plan: buildPlan({
        ...{ jobId: id, attempt, repoUrl: null, commitSha: null, ref: null, env: request.env },
        ...{
          steps: stepsOf(request),
          artifacts: [],
          caches: cachesOf(request),
          cleanupSeconds: 60,
          deadlineSeconds: 120,
        },
      }),
    }),
  });
  return async (kind: GuestKind, request: object) => {
    const job = await insertTestJob(store, { request });
    const booted = await bootJob(store, job.id, stepNamesOf(job.request));
    const { bootstrapToken, jobId, attempt } = booted;
    const runner = await harness.startAt({ runnerUrl: url, bootstrapToken }, { kind });
    assert.equal(await runner.exit, 0);
    const output = await readLog(store, { jobId, attempt, stream: "output", offset: 0, maxBytes: 1_000_000 });
    const uses = await listCacheUses(store, booted);
    await endAttempt(store, booted, "settle_succeeded");
    await rm(join(runner.work), { recursive: true, force: true });
    return { text: output.toString(), uses: uses.map((use) => `${use.action} ${use.outcome}`) };
  };
}

const odd = `-rf it's "odd" $HOME\`id\` \\ \n ü*`;
const long = `${"long/".repeat(40)}${"name".repeat(30)}`;
const cache = { key: "k-{hash:-lock}", paths: ["deps dir", "-lock", "~/store"], restore_keys: ["k-"] };
const env = { ODD: odd, LONG: long };

/** Fills the paths when they are empty, and prints all properties that a cache preserves. */
const script = `
  if [ ! -e 'deps dir' ]; then
    echo built; mkdir -p "deps dir/\${LONG%/*}" "$HOME/store"
    head -c 1500000 /dev/urandom >'deps dir/bytes'; chmod 4751 'deps dir/bytes'
    printf odd >"deps dir/$ODD"; : >"deps dir/$LONG"; ln -s bytes 'deps dir/link'; ln -s /nonexistent "$HOME/store/dangling"
    touch -d '2001-02-03 04:05:06' 'deps dir/bytes'
    echo one >./-lock
  fi
  echo "bytes $(sha256sum <'deps dir/bytes') $(cat "deps dir/$ODD")"
  stat -c '%a %Y' 'deps dir/bytes'; test -L 'deps dir/link' && test -L "$HOME/store/dangling" && test -e "deps dir/$LONG" && echo linked`;

function seen(text: string): string[] {
  return text.split("\n").filter((line) => /^bytes |^\d+ \d+$|^linked$/.test(line));
}

const kinds = [
  ...guestKinds,
  ...shellsAndClients.filter(({ name }) => /ksh.*wget|bash and the wget/.test(name)),
];

/** The default guest without some of its programs. */
function without(...missing: string[]): GuestKind {
  const [usual] = guestKinds as [GuestKind];
  return {
    name: `dash and curl without ${missing}`,
    shell: usual.shell,
    fillPath: async (directory) => {
      await usual.fillPath(directory);
      for (const program of missing) await rm(join(directory, program), { force: true });
    },
  };
}

describe("a cache in a guest", { concurrency: 4 }, () => {
  for (const kind of guestsFor("a cache", kinds)) {
    test(`saves, and restores the same content: ${kind.name}`, { skip: missingFor(kind) }, async (t) => {
      const run = await setUp(t);
      const first = await run(kind, { script, env, cache });
      assert.deepEqual(first.uses, ["restore miss", "save saved"], first.text);
      assert.match(first.text, /built/);
      const second = await run(kind, { script, env, cache });
      assert.deepEqual(second.uses, ["restore hit", "save exists"], second.text);
      assert.doesNotMatch(second.text, /built/);
      assert.equal(seen(first.text).length, 3, first.text);
      assert.deepEqual(seen(second.text), seen(first.text));
    });
  }

  test("busybox unpacks an archive of GNU tar, and vice versa", async (t) => {
    const [gnu, busybox] = ["dash, curl and openssl", "busybox alone"].map((name) =>
      guestKinds.find((kind) => kind.name === name),
    ) as [GuestKind, GuestKind];
    const run = await setUp(t);
    for (const [key, one, other] of [
      ["gnu", gnu, busybox],
      ["busybox", busybox, gnu],
    ] as const) {
      const request = { script, env, cache: { ...cache, key } };
      const first = await run(one, request);
      const second = await run(other, request);
      assert.deepEqual(second.uses, ["restore hit", "save exists"], second.text);
      assert.deepEqual(seen(second.text), seen(first.text));
    }
  });

  test("a guest without a compressor packs uncompressed, one without tar logs that, and both continue", async (t) => {
    const run = await setUp(t);
    const plain = without("zstd", "gzip");
    assert.deepEqual((await run(plain, { script, env, cache })).uses, ["restore miss", "save saved"]);
    assert.deepEqual((await run(plain, { script, env, cache })).uses, ["restore hit", "save exists"]);
    const bare = await run(without("tar"), { script: "echo went on", cache });
    assert.deepEqual(bare.uses, []);
    assert.match(bare.text, /this guest has no tar; continuing without caches\nwent on/);
  });

  test("an entry that this guest cannot unpack stays unchanged", async (t) => {
    const run = await setUp(t);
    const [usual] = guestKinds as [GuestKind];
    await run(usual, { script, env, cache });
    const other = await run(without("zstd"), { script, env, cache });
    assert.match(other.text, /hit, but this guest has no zstd to unpack it; continuing without it\nbuilt/);
  });
});
