import { bearerToken, hashToken } from "../../access/bearer.ts";
import { errorText, isSolsticeError, SolsticeError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import {
  closeExchange,
  type NodeHandler,
  type NodeRequest,
  type NodeResponse,
  pathOf,
  sendJson,
} from "../../http/node-http.ts";
import { refuse } from "../../http/refusal.ts";
import type { Store } from "../../store/store.ts";
import {
  authenticate,
  mustStop,
  noteSignOfLife,
  type RunnerSession,
  refusedGuest,
} from "../runner-sessions.ts";
import { sendBlob } from "./send-blob.ts";
import { transferLimits } from "./transfer-kinds.ts";
import type { Transfers } from "./transfers.ts";

/** The dependencies of {@link createTransferRoutes}. */
export interface TransferRoutesOptions {
  readonly store: Store;
  readonly transfers: Transfers;
  readonly log: Log;
  readonly now: () => number;
}

interface Exchange {
  readonly request: NodeRequest;
  readonly response: NodeResponse;
  readonly session: RunnerSession;
}

/**
 * Serves the bytes of files between guests and this host, as plain HTTP for any curl or wget: `POST
 * /v1/uploads/ID?offset=N` with the raw bytes as its body, and `GET /v1/downloads/KIND/ID?offset=N`. Both
 * need the session token. Passes all other paths to `otherwise`.
 */
export function createTransferRoutes(options: TransferRoutesOptions, otherwise: NodeHandler): NodeHandler {
  return (request, response) => {
    if (!/^\/v1\/(uploads|downloads)\//.test(pathOf(request))) return otherwise(request, response);
    serve(options, request, response).catch((error: unknown) => {
      const fields = { err: error, path: pathOf(request) };
      if (response.headersSent || response.destroyed) {
        options.log.debug(fields, `A transfer was interrupted: ${errorText(error)}`);
        closeExchange(request, response);
      } else if (isSolsticeError(error)) refuse(response, error);
      else {
        options.log.error(fields, "A transfer failed unexpectedly.");
        refuse(response, new SolsticeError("internal", "The transfer failed unexpectedly. Retry."));
      }
    });
  };
}

async function serve(options: TransferRoutesOptions, request: NodeRequest, response: NodeResponse) {
  const path = pathOf(request);
  const uploadId = /^\/v1\/uploads\/([0-9a-f]{32})$/.exec(path)?.[1];
  const download = /^\/v1\/downloads\/([a-z]{1,40})\/([a-z0-9_-]{1,100})$/.exec(path);
  if (uploadId === undefined && download === null) {
    return sendJson(response, 404, { code: "not_found", message: "No page has this path." });
  }
  const allowed = uploadId === undefined ? ["GET", "HEAD"] : ["POST", "PUT"];
  if (!allowed.includes(request.method ?? "")) {
    return sendJson(response, 405, { code: "usage", message: `Use ${allowed[0]}.` });
  }
  const session = await sessionOf(options, request);
  const exchange = { request, response, session };
  if (uploadId !== undefined) return receive(options, exchange, uploadId);
  return send(options, exchange, { kind: download?.[1] ?? "", id: download?.[2] ?? "" });
}

async function sessionOf(options: TransferRoutesOptions, request: NodeRequest): Promise<RunnerSession> {
  const token = bearerToken(request.headers.authorization);
  if (token === null) throw refusedGuest();
  const session = await authenticate(options.store, hashToken(token));
  await noteSignOfLife(options.store, session.machine, options.now());
  return session;
}

async function receive({ transfers }: TransferRoutesOptions, exchange: Exchange, uploadId: string) {
  const { request, response, session } = exchange;
  refuseTooLong(request, response);
  const offset = parseOffset(request);
  // A sender that stops in the middle still receives an answer: the iterator's default would close the
  // connection.
  const chunks = request.iterator({ destroyOnReturn: false });
  const { received, stored } = await transfers.append(session, { uploadId, offset, chunks });
  sendJson(response, 200, {
    received: String(received),
    ...(stored && { stored }),
    ...(mustStop(session.job) && { stop: true }),
  });
}

async function send(
  { transfers }: TransferRoutesOptions,
  { request, response, session }: Exchange,
  { kind, id }: { kind: string; id: string },
) {
  const find = transfers.kinds.downloads[kind];
  const grant = find === undefined ? null : await find(session, id);
  if (grant === null) throw new SolsticeError("not_found", "This job has no such file to download.");
  const read = (offset: number) => transfers.blobs.read(grant.blobKey, offset);
  await sendBlob({ request, response }, { ...grant, read });
}

/**
 * Refuses the request before its body is read. The rest of the connection is that body, so the connection is
 * closed.
 */
function refuseTooLong(request: NodeRequest, response: NodeResponse): void {
  const length = Number(request.headers["content-length"] ?? 0);
  if (length <= transferLimits.requestBytes) return;
  if (!("stream" in request)) response.setHeader("connection", "close");
  throw new SolsticeError(
    "limit_exceeded",
    `One request carries at most ${transferLimits.requestBytes} bytes.`,
  );
}

function parseOffset(request: NodeRequest): number {
  const text = new URLSearchParams(request.url?.split("?")[1] ?? "").get("offset") ?? "";
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new SolsticeError("usage", "offset must be a number of bytes.", {
    remedy: "POST to /v1/uploads/ID?offset=N.",
  });
}
