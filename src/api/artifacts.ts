import type { MessageInitShape } from "@bufbuild/protobuf";
import { artifactKind } from "../attempts/transfers/artifact-kind.ts";
import { sendBlob } from "../attempts/transfers/send-blob.ts";
import type { BlobStore } from "../blobs/blob-store.ts";
import { errorText, isSolsticeError, SolsticeError } from "../core/errors.ts";
import type { Job } from "../core/job/job.ts";
import type { Log } from "../core/log.ts";
import type { ListArtifactsResponseSchema } from "../gen/solstice/v1/jobs_pb.ts";
import {
  closeExchange,
  type NodeHandler,
  type NodeRequest,
  type NodeResponse,
  pathOf,
  sendJson,
} from "../http/node-http.ts";
import { refuse } from "../http/refusal.ts";
import { getUpload, listUploads, type Upload } from "../store/files/uploads.ts";
import { listHosts } from "../store/hosts/hosts.ts";
import type { Store } from "../store/store.ts";
import { noSuchAttempt } from "./job-logs.ts";
import { lookUpJob } from "./job-lookup.ts";

/** The artifacts that this host can serve. */
export interface ArtifactSource {
  readonly blobs: BlobStore;
  readonly hostId: string;
}

/** The dependencies of the functions in this file. */
export interface ArtifactsContext {
  readonly store: Store;
  readonly artifacts: ArtifactSource;
}

/** Lists the artifacts of an attempt (0: the latest) of a job. */
export async function listArtifacts(
  { store, artifacts }: ArtifactsContext,
  { job, attempt }: { job: Job; attempt: number },
): Promise<MessageInitShape<typeof ListArtifactsResponseSchema>> {
  if (attempt < 0) throw new SolsticeError("usage", "attempt must not be negative.");
  if (attempt > job.attempt) throw noSuchAttempt(job, attempt);
  const key = { jobId: job.id, attempt: attempt || job.attempt, kind: artifactKind };
  const uploads = await listUploads(store, key);
  const apis = uploads.some((upload) => isElsewhere(upload, artifacts)) ? await apiUrls(store) : new Map();
  return {
    jobId: key.jobId,
    attempt: key.attempt,
    artifacts: uploads.map((upload) => ({
      id: upload.id,
      name: upload.name,
      sizeBytes: BigInt(upload.sizeBytes),
      sha256: upload.sha256 ?? "",
      storedMs: BigInt(upload.storedAt ?? 0),
      expiredMs: BigInt(upload.expiredAt ?? 0),
      ...(isElsewhere(upload, artifacts) && {
        hostId: upload.blobHostId ?? "",
        apiUrl: apis.get(upload.blobHostId ?? "") ?? "",
      }),
    })),
  };
}

/** The options of {@link createArtifactRoute}. */
export interface ArtifactRouteOptions extends ArtifactsContext {
  readonly log: Log;
  /** The reason why a request may not read artifacts, or null. */
  readonly refusal: (request: NodeRequest) => SolsticeError | null;
}

/**
 * Serves the bytes of artifacts: `GET /v1/jobs/JOB/artifacts/ATTEMPT/ID`. Passes all other paths to
 * `otherwise`.
 */
export function createArtifactRoute(options: ArtifactRouteOptions, otherwise: NodeHandler): NodeHandler {
  return (request, response) => {
    const match = /^\/v1\/jobs\/([0-9a-z-]{1,40})\/artifacts\/(\d{1,6})\/([0-9a-f]{32})$/.exec(
      pathOf(request),
    );
    if (match === null) return otherwise(request, response);
    const [, jobId = "", attempt, id = ""] = match;
    serve(options, { request, response }, { jobId, attempt: Number(attempt), id }).catch((error: unknown) => {
      if (response.headersSent || response.destroyed) {
        options.log.debug({ err: error }, `An artifact download was interrupted: ${errorText(error)}`);
        closeExchange(request, response);
      } else if (isSolsticeError(error)) refuse(response, error);
      else {
        options.log.error({ err: error, path: pathOf(request) }, "An artifact could not be served.");
        refuse(
          response,
          new SolsticeError("internal", "The file could not be read. See the orchestrator's log."),
        );
      }
    });
  };
}

async function serve(
  options: ArtifactRouteOptions,
  exchange: { request: NodeRequest; response: NodeResponse },
  key: { jobId: string; attempt: number; id: string },
): Promise<void> {
  const { request, response } = exchange;
  const refused = options.refusal(request);
  if (refused) return refuse(response, refused);
  if (request.method !== "GET" && request.method !== "HEAD") {
    return sendJson(response, 405, { code: "usage", message: "Use GET." });
  }
  const job = await lookUpJob(options.store, key.jobId);
  const upload = await getUpload(options.store, { ...key, jobId: job.id });
  if (upload === null || upload.kind !== artifactKind || upload.storedAt === null) {
    throw new SolsticeError("not_found", "This job has no artifact with this id.");
  }
  if (upload.expiredAt !== null)
    throw new SolsticeError("not_found", "Retention removed this artifact because of its age.");
  if (isElsewhere(upload, options.artifacts))
    return refuse(response, await elsewhere(options, upload), { status: 421 });
  await sendBlob(exchange, {
    sizeBytes: upload.sizeBytes,
    sha256: upload.sha256 ?? "",
    read: (offset) => options.artifacts.blobs.read(upload.blobKey, offset),
    headers: { "content-disposition": disposition(upload.name), "content-security-policy": "sandbox" },
  });
}

async function elsewhere({ store }: ArtifactsContext, upload: Upload): Promise<SolsticeError> {
  const id = upload.blobHostId ?? "";
  const host = (await listHosts(store)).find(({ hostId }) => hostId === id);
  const machine = host === undefined ? "" : ` (machine ${host.facts.hostname})`;
  const apiUrl = host?.facts.apiUrl ?? null;
  return new SolsticeError("conflict", `Only host ${id}${machine} has this file.`, {
    remedy:
      apiUrl === null
        ? "The API of that host listens on a local address only: run the command there, or start its orchestrator with API_TOKEN and with --api-listen (API_LISTEN) on an address that this machine can reach."
        : `Call the API of that host, at ${apiUrl}.`,
  });
}

function isElsewhere({ blobHostId }: Upload, { hostId }: ArtifactSource): boolean {
  return blobHostId !== null && blobHostId !== hostId;
}

async function apiUrls(store: Store): Promise<Map<string, string>> {
  const hosts = await listHosts(store);
  return new Map(
    hosts.flatMap(({ hostId, facts }) => (facts.apiUrl === null ? [] : [[hostId, facts.apiUrl]])),
  );
}

/** The last part of a name, under which a browser saves the file: in ASCII, and percent-encoded in full. */
function disposition(name: string): string {
  const last = name.split("/").at(-1) || "file";
  const ascii = last.replace(/[^A-Za-z0-9._ -]/g, "_").slice(0, 200);
  const encoded = encodeURIComponent(last.toWellFormed().slice(0, 200)).replace(
    /['()*]/g,
    (letter) => `%${letter.charCodeAt(0).toString(16)}`,
  );
  return `attachment; filename="${ascii}"; filename*=UTF-8''${encoded}`;
}
