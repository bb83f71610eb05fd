import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { bootJob, insertTestJob, openTestStore, startTestUserServer } from "../../api/testing/fixture.ts";
import { openTestTransfers } from "../../attempts/testing/transfers.ts";
import { beginUpload, recordDigest, recordStored } from "../../store/files/uploads.ts";
import { runCli } from "./run-cli.ts";

/** The SHA-256 in hexadecimal. */
export const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

/** A real API with a job whose artifacts are `files` on the host `blobHostId`, and an empty directory to fetch them into. */
export async function keepArtifacts(
  t: TestContext,
  files: Record<string, Buffer>,
  blobHostId: string | null = "host-1",
) {
  const store = await openTestStore(t);
  const { blobs } = await openTestTransfers(t, store);
  const booted = await bootJob(store, (await insertTestJob(store)).id);
  const { jobId, attempt } = booted;
  for (const [name, bytes] of Object.entries(files)) {
    const id = sha256(Buffer.from(name)).slice(0, 32);
    const blobKey = `artifacts/${jobId}/1/${id}`;
    const sizeBytes = bytes.length;
    async function* source() {
      yield bytes;
    }
    const key = { jobId, attempt, id };
    await beginUpload(
      store,
      { ...key, kind: "artifact", name, sizeBytes, blobKey, blobHostId, begunAt: 1 },
      () => true,
    );
    await recordDigest(store, { ...key, sha256: sha256(bytes) });
    await blobs.write(blobKey, source(), { limitBytes: 1e9 });
    await recordStored(store, { ...key, at: 2 }, async () => {});
  }
  const artifacts = { blobs, hostId: "host-1" };
  const server = await startTestUserServer(t, { store, artifacts, token: () => "operator" });
  const directory = mkdtempSync(join(tmpdir(), "solstice-get-"));
  t.after(() => rmSync(directory, { recursive: true }));
  const env = { SOLSTICE_API_URL: server.url, API_TOKEN: "operator" };
  const cli = (args: string[], apiUrl = server.url) =>
    runCli(["artifacts", ...args], { env: { ...env, SOLSTICE_API_URL: apiUrl } });
  return { store, blobs, server, jobId, directory, env, cli };
}
