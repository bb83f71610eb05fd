import type { OrchestratorConfig } from "../../config/orchestrator-config.ts";
import { imagesFor } from "../../core/hosts/backend-fit.ts";
import type { Check } from "./check.ts";
import { isoToolCheck, toolCheck } from "./tool-checks.ts";
import { hostChecks, judgePlatform, missingZonePrograms } from "./zones/host-checks.ts";
import { networkChecks } from "./zones/network-checks.ts";
import type { Illumos } from "./zones/observe.ts";
import { outboundChecks } from "./zones/outbound-checks.ts";
import { poolChecks } from "./zones/pool-checks.ts";

/** Checks for the zones backend. On a host that cannot have zones, only the check of the platform. */
export async function zonesChecks(host: Illumos, settings: OrchestratorConfig): Promise<Check[]> {
  const missing = await missingZonePrograms(host);
  const platform = { name: "illumos", run: async () => judgePlatform(host.platform, missing) };
  if (host.platform !== "sunos" && missing.length > 0) return [platform];
  return [
    platform,
    ...hostChecks(host),
    isoToolCheck(),
    ...(usesQcow2(settings) ? [toolCheck("qemu-img")] : []),
    toolCheck("git"),
    ...poolChecks(host, settings),
    ...networkChecks(host, settings),
    ...(await outboundChecks(host, settings.zones)),
  ];
}

/** True if an image of the map is, or by its file name may be, a qcow2: it must be converted, because volumes are raw. */
function usesQcow2({ imageMap }: OrchestratorConfig): boolean {
  return [...imagesFor(imageMap, "zones").images.values()].some(
    ({ format, source, localPath }) =>
      format === "qcow2" || (format === null && /\.(qcow2|img)$/i.test(source ?? localPath)),
  );
}
