import { type CallOptions, type Client, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { type ClientConfig, loadClientConfig } from "../../config/load-client-config.ts";
import type { Environment, RawFlags } from "../../config/options/read-options.ts";
import { SolsticeError } from "../../core/errors.ts";
import { JobService } from "../../gen/solstice/v1/jobs_pb.ts";
import { fromApiError } from "./api-error.ts";

/** The generated client of the API. */
export type JobClient = Client<typeof JobService>;

// The same name as in src/http/asked-host.ts. The command line does not import that file: it calls the API over the network.
const hostHeader = "solstice-host";

/** Time limit of one call, in ms. */
const callTimeoutMs = 30_000;

/** The largest message accepted from the API. A page of 1000 jobs, or a job with 500 steps, is far smaller. */
const messageBytesMax = 16 * 1024 * 1024;

/** Access to the API, also after the orchestrator restarted on another port. */
export interface ApiSession {
  /** The client for streams. Callers convert its errors with {@link fromApiError}. */
  readonly client: JobClient;
  readonly apiUrl: string;
  /** The settings that name the API. */
  readonly place: ClientConfig;
  /** A client for calls that stream in both directions, which need HTTP/2. With `apiUrl`, for another host's API. */
  twoWay(apiUrl?: string): JobClient;
  /** Makes one call with a deadline. Throws {@link SolsticeError}. */
  call<Answer>(send: (client: JobClient, options: CallOptions) => Promise<Answer>): Promise<Answer>;
  /** Fetches a file from the API at `apiUrl` (null: the API of this session), without a deadline. */
  fetchFile(path: string, options: { apiUrl: string | null; signal: AbortSignal }): Promise<Response>;
  /** Finds the API's address again. */
  refresh(): Promise<void>;
}

/**
 * Opens a session with the API that flags and environment name, without a call. Throws `config_invalid`. If they name a data
 * directory whose orchestrator does not run, each call fails with `unavailable`; no other orchestrator is called.
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
    async call(send) {
      try {
        return await send(ownClient(), { timeoutMs: callTimeoutMs });
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
      // A restarting orchestrator has no note for a moment. Keep its host id, so that no other host answers meanwhile.
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
        `Or set another data directory with ${dataDirFrom}, or an API with --api-url.`,
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

/** Headers of a call: the token, and for the address in a host's note the id of that host, so that no other host answers. */
function headersFor(
  { apiToken, hostId, apiUrl: ownUrl }: ClientConfig,
  apiUrl: string,
): Record<string, string> {
  return {
    ...(apiToken !== null && { authorization: `Bearer ${apiToken}` }),
    ...(hostId !== null && apiUrl === ownUrl && { [hostHeader]: hostId }),
  };
}

/** Moves user and password of a URL into the header that the other calls send; `fetch` rejects a URL that holds them. */
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
