import { type CallOptions, type Client, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { type ClientConfig, loadClientConfig } from "../config/load-client-config.ts";
import type { Environment, RawFlags } from "../config/read-options.ts";
import { JobService } from "../gen/solstice/v1/jobs_pb.ts";
import { fromApiError } from "./api-error.ts";

/** The generated client of the API. */
export type JobClient = Client<typeof JobService>;

/** How long the API may take to answer one question. */
const callTimeoutMs = 30_000;

/** The largest message taken from the API: a page of 1000 jobs, or a job with 500 steps, is far below. */
const messageBytesMax = 16 * 1024 * 1024;

/** A connection to the API that can be found again after the orchestrator restarted on another port. */
export interface ApiSession {
  /** The client for streams. Their errors go through {@link fromApiError}. */
  readonly client: JobClient;
  readonly apiUrl: string;
  /** A client for calls that stream both ways, which need HTTP/2; of another host's API where its URL is given. */
  twoWay(apiUrl?: string): JobClient;
  /** Asks one question with a deadline. Throws our errors. */
  ask<Answer>(question: (client: JobClient, options: CallOptions) => Promise<Answer>): Promise<Answer>;
  /** Fetches a file of the API at `apiUrl` (null: the one of this session), as long as its bytes come. */
  fetchFile(path: string, options: { apiUrl: string | null; signal: AbortSignal }): Promise<Response>;
  /** Looks again where the API is. */
  refresh(): Promise<void>;
}

/** Opens a session as flags and environment say. Throws `config_invalid`; nothing is sent yet. */
export async function openApiSession(flags: RawFlags, env: Environment): Promise<ApiSession> {
  let config = await loadClientConfig(flags, env);
  let client = createJobClient(config);
  return {
    get client() {
      return client;
    },
    get apiUrl() {
      return config.apiUrl;
    },
    twoWay: (apiUrl = config.apiUrl) => createJobClient({ ...config, apiUrl }, "2"),
    async ask(question) {
      try {
        return await question(client, { timeoutMs: callTimeoutMs });
      } catch (error) {
        throw fromApiError(error, config.apiUrl);
      }
    },
    fetchFile(path, { apiUrl, signal }) {
      const headers = config.apiToken === null ? {} : { authorization: `Bearer ${config.apiToken}` };
      return fetch(`${apiUrl ?? config.apiUrl}${path}`, { headers, signal, redirect: "error" });
    },
    async refresh() {
      config = await loadClientConfig(flags, env);
      client = createJobClient(config);
    },
  };
}

function createJobClient(config: ClientConfig, httpVersion: "1.1" | "2" = "1.1"): JobClient {
  const transport = createConnectTransport({
    baseUrl: config.apiUrl,
    httpVersion,
    interceptors: config.apiToken === null ? [] : [authorize(config.apiToken)],
    readMaxBytes: messageBytesMax,
  });
  return createClient(JobService, transport);
}

function authorize(token: string): Interceptor {
  return (next) => (request) => {
    request.header.set("Authorization", `Bearer ${token}`);
    return next(request);
  };
}
