import type { SolsticeError } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import {
  type NodeHandler,
  type NodeRequest,
  type NodeResponse,
  pathOf,
  sendJson,
  sendText,
} from "./node-http.ts";
import { refuse } from "./refusal.ts";

/** The result of one readiness check: `ok`, or a sentence that names what is missing. */
export interface ReadinessCheck {
  readonly name: string;
  readonly ok: boolean;
  readonly message: string;
}

/** The part of a prom-client `Registry` that is served. */
export interface MetricsSource {
  readonly contentType: string;
  metrics(): Promise<string>;
}

/** The dependencies of {@link createHttpRoutes}. */
export interface HttpRoutesOptions {
  readonly log: Log;
  readonly readiness: () => Promise<readonly ReadinessCheck[]>;
  readonly metrics: MetricsSource;
  /**
   * The reason why a request may not see details, or null. Probes carry no token: they receive ready or not
   * ready, without reasons.
   */
  readonly refusal: (request: NodeRequest) => SolsticeError | null;
}

type Route = (request: NodeRequest, response: NodeResponse) => Promise<void>;

/**
 * Serves `/healthz` (the process is alive), `/readyz` (200 or 503, with reasons) and `/metrics`; every other
 * path is 404.
 */
export function createHttpRoutes(options: HttpRoutesOptions): NodeHandler {
  const routes = new Map<string, Route>([
    ["/healthz", async (_request, response) => sendJson(response, 200, { ok: true })],
    ["/readyz", (request, response) => sendReadiness(options, request, response)],
    ["/metrics", (request, response) => sendMetrics(options, request, response)],
  ]);
  return (request, response) => {
    const route = routes.get(pathOf(request));
    if (route === undefined)
      return sendJson(response, 404, { code: "not_found", message: "No page has this path." });
    if (request.method !== "GET" && request.method !== "HEAD") {
      return sendJson(response, 405, { code: "usage", message: "Use GET." });
    }
    route(request, response).catch((error: unknown) => {
      options.log.error({ err: error, path: pathOf(request) }, "A page could not be served.");
      if (!response.headersSent) sendJson(response, 500, { code: "internal", message: "See the log." });
    });
  };
}

async function sendReadiness(options: HttpRoutesOptions, request: NodeRequest, response: NodeResponse) {
  const checks = await options.readiness();
  const ready = checks.every((check) => check.ok);
  const details = options.refusal(request) === null ? { checks } : {};
  sendJson(response, ready ? 200 : 503, { ready, ...details });
}

async function sendMetrics(options: HttpRoutesOptions, request: NodeRequest, response: NodeResponse) {
  const refusal = options.refusal(request);
  if (refusal) return refuse(response, refusal);
  const { contentType } = options.metrics;
  sendText(response, { status: 200, contentType, body: await options.metrics.metrics() });
}
