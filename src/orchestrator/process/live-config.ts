import type { OrchestratorConfig } from "../../config/orchestrator-config.ts";

/** The configuration, of which a reload exchanges the image map, the API token and the secrets. */
export interface LiveConfig {
  /** Always the same object: read a reloadable setting each time that it is used. */
  readonly config: OrchestratorConfig;
  /** Takes the reloadable settings of another configuration over, all at once. */
  replace(next: OrchestratorConfig): void;
}

/** What a reload exchanges: the settings, and what is reported of them. */
const reloadable = ["configPath", "imageMap", "imageMapSha256", "apiToken", "secrets", "settings"] as const;

/** Makes the configuration of a running orchestrator out of that of its start. */
export function createLiveConfig(initial: OrchestratorConfig): LiveConfig {
  let present: Pick<OrchestratorConfig, (typeof reloadable)[number]> = initial;
  const config = { ...initial };
  for (const name of reloadable) Object.defineProperty(config, name, { get: () => present[name] });
  return {
    config: Object.freeze(config),
    replace(next) {
      present = next;
    },
  };
}
