import { hostname } from "node:os";
import type { HostFacts, HostRecord } from "../../core/hosts/host-facts.ts";
import { isLoopback } from "../../core/hosts/loopback.ts";
import { imagesByLabel } from "../../core/image-map/labels.ts";
import { projectVersion } from "../../host/version.ts";
import { listHosts } from "../../store/hosts/hosts.ts";
import { type Context, isDraining, isImageReady, unfitHere } from "../context.ts";

const version = projectVersion();

/**
 * The facts that this host publishes to the others. `apiUrl` is the URL of its API, null while it does not
 * serve.
 */
export function factsOfHost(context: Context, apiUrl: string | null): HostFacts {
  const { config } = context;
  const { imageMap } = config;
  const images: [string, HostFacts["images"][string]][] = [];
  const unfit: [string, HostFacts["unfit"][string]][] = [];
  for (const { name, defaults } of imageMap.images.values()) {
    const why = unfitHere(context, name);
    if (why === null) images.push([name, { defaults, ready: isImageReady(context, name) }]);
    else unfit.push([name, { defaults, ...why }]);
  }
  return {
    hostname: hostname(),
    version,
    startedAt: context.startedAt,
    backend: context.hypervisor.backend,
    draining: isDraining(context),
    drainRequestedAt: context.drainRecord.since(),
    restartGraceSeconds: context.phase === "restarting" ? config.restartGraceSeconds : null,
    maxConcurrency: config.maxConcurrency,
    maxHolds: config.maxHolds,
    labelCaps: Object.fromEntries(config.capacityMap),
    defaultLabel: imageMap.defaultLabel,
    labels: Object.fromEntries(imagesByLabel(imageMap)),
    sizes: Object.fromEntries(imageMap.sizes),
    images: Object.fromEntries(images),
    unfit: Object.fromEntries(unfit),
    paused: context.pausedReason(),
    apiUrl,
  };
}

/** The other hosts of the same store, including lost hosts. */
export async function otherHosts({ store, identity }: Context): Promise<HostRecord[]> {
  return (await listHosts(store)).filter((host) => host.hostId !== identity.hostId);
}

/**
 * The API URL for people on other hosts: null when only this machine can reach it. For an API that listens on
 * all addresses, the URL has the machine's name.
 */
export function urlForOthers(url: string, name = hostname()): string | null {
  const parsed = new URL(url);
  if (isLoopback(parsed.hostname)) return null;
  const isWildcard = parsed.hostname === "0.0.0.0" || parsed.hostname === "[::]";
  return isWildcard ? `http://${name}:${parsed.port || "80"}` : url;
}
