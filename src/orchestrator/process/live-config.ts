import type { OrchestratorConfig } from "../../config/orchestrator-config.ts";

/** The configuration, in which a reload replaces the image map, the API token and the secrets. */
export interface LiveConfig {
  /** Always the same object: read a reloadable setting at each use. */
  readonly config: OrchestratorConfig;
  /** Replaces the reloadable settings by those of another configuration, all at once. */
  replace(next: OrchestratorConfig): void;
}

/** The settings that a reload replaces, and those that describe them. */
const reloadable = ["configPath", "imageMap", "imageMapSha256", "apiToken", "secrets", "settings"] as const;

/** Makes the live configuration from that of the start. */
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
