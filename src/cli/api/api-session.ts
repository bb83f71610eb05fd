import { type CallOptions, type Client, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { type ClientConfig, loadClientConfig } from "../../config/load-client-config.ts";
import type { Environment, RawFlags } from "../../config/options/read-options.ts";
import { SolsticeError } from "../../core/errors.ts";
import { JobService } from "../../gen/solstice/v1/jobs_pb.ts";
import { fromApiError } from "./api-error.ts";

/** The generated client of the API. */
export type JobClient = Client<typeof JobService>;

// The same name as in src/http/asked-host.ts, which the command line does not import: it talks to the API over the wire.
const askedHostHeader = "solstice-host";

/** How long the API may take to answer one question. */
const callTimeoutMs = 30_000;

/** The largest message taken from the API: a page of 1000 jobs, or a job with 500 steps, is far below. */
const messageBytesMax = 16 * 1024 * 1024;

/** A connection to the API that can be found again after the orchestrator restarted on another port. */
export interface ApiSession {
  /** The client for streams. Their errors go through {@link fromApiError}. */
  readonly client: JobClient;
  readonly apiUrl: string;
  /** How the API was found. */
  readonly place: ClientConfig;
  /** A client for calls that stream both ways, which need HTTP/2; of another host's API where its URL is given. */
  twoWay(apiUrl?: string): JobClient;
  /** Asks one question with a deadline. Throws our errors. */
  ask<Answer>(question: (client: JobClient, options: CallOptions) => Promise<Answer>): Promise<Answer>;
  /** Fetches a file of the API at `apiUrl` (null: the one of this session), as long as its bytes come. */
  fetchFile(path: string, options: { apiUrl: string | null; signal: AbortSignal }): Promise<Response>;
  /** Looks again where the API is. */
  refresh(): Promise<void>;
}

/**
 * Opens a session as flags and environment name it. Throws `config_invalid`; nothing is sent yet. Where the data directory is named
 * and its orchestrator does not run, each call fails with `unavailable`: no other orchestrator is called.
 */
export async function openApiSession(flags: RawFlags, env: Environment): Promise<ApiSession> {
  let place = await loadClientConfig(flags, env);
  let client: JobClient | null = null;
  const ownClient = () => {
    client ??= createJobClient(place, urlOf(place));
    return client;
  };
  return {
    get client() {
      return ownClient();
    },
    get apiUrl() {
      return place.apiUrl ?? `the orchestrator of ${place.dataDir}`;
    },
    get place() {
      return place;
    },
    twoWay: (apiUrl) => createJobClient(place, apiUrl ?? urlOf(place), "2"),
    async ask(question) {
      try {
        return await question(ownClient(), { timeoutMs: callTimeoutMs });
      } catch (error) {
        throw fromApiError(error, place.apiUrl ?? "");
      }
    },
    async fetchFile(path, { apiUrl, signal }) {
      const base = apiUrl ?? urlOf(place);
      const { url, headers } = withoutUser(`${base}${path}`);
      return fetch(url, {
        headers: { ...headers, ...headersFor(place, base) },
        signal,
        redirect: "error",
      });
    },
    async refresh() {
      const found = await loadClientConfig(flags, env);
      // An orchestrator that restarts has no note for a moment: meanwhile no other host may answer.
      place = { ...found, hostId: found.hostId ?? place.hostId };
      client = null;
    },
  };
}

function urlOf({ apiUrl, dataDir, dataDirFrom }: ClientConfig): string {
  if (apiUrl !== null) return apiUrl;
  throw new SolsticeError(
    "unavailable",
    `No orchestrator runs with the data directory ${dataDir} (${dataDirFrom}).`,
    {
      remedy:
        `Start it: solstice orchestrator --data-dir ${dataDir}\n` +
        `Or name another data directory with ${dataDirFrom}, or an API with --api-url.`,
    },
  );
}

function createJobClient(place: ClientConfig, apiUrl: string, httpVersion: "1.1" | "2" = "1.1"): JobClient {
  const transport = createConnectTransport({
    baseUrl: apiUrl,
    httpVersion,
    interceptors: [addHeaders(headersFor(place, apiUrl))],
    readMaxBytes: messageBytesMax,
  });
  return createClient(JobService, transport);
}

/** The token; and to the address that a host noted, that host's id, so that no other one answers there. */
function headersFor(
  { apiToken, hostId, apiUrl: ownUrl }: ClientConfig,
  apiUrl: string,
): Record<string, string> {
  return {
    ...(apiToken !== null && { authorization: `Bearer ${apiToken}` }),
    ...(hostId !== null && apiUrl === ownUrl && { [askedHostHeader]: hostId }),
  };
}

/** `fetch` takes no URL with a user and a password: they become the header that they are for the other calls. */
function withoutUser(text: string): { url: URL; headers: Record<string, string> } {
  const url = new URL(text);
  if (url.username === "" && url.password === "") return { url, headers: {} };
  const user = [url.username, url.password].map(decodeURIComponent).join(":");
  [url.username, url.password] = ["", ""];
  return { url, headers: { authorization: `Basic ${Buffer.from(user).toString("base64")}` } };
}

function addHeaders(headers: Readonly<Record<string, string>>): Interceptor {
  return (next) => (request) => {
    for (const [name, value] of Object.entries(headers)) request.header.set(name, value);
    return next(request);
  };
}
