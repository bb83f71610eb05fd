import type { OrchestratorConfig } from "../../config/orchestrator-config.ts";

/** The configuration, of which a reload exchanges the image map, the API token and the secrets. */
export interface LiveConfig {
  /** Always the same object: read a reloadable setting each time that it is used. */
  readonly config: OrchestratorConfig;
  /** Takes the reloadable settings of another configuration over, all at once. */
  replace(next: OrchestratorConfig): void;
}

/** Makes the configuration of a running orchestrator out of that of its start. */
export function createLiveConfig(initial: OrchestratorConfig): LiveConfig {
  let { configPath, imageMap, imageMapSha256, settings, apiToken, secrets } = initial;
  const config: OrchestratorConfig = {
    ...initial,
    get configPath() {
      return configPath;
    },
    get imageMap() {
      return imageMap;
    },
    get imageMapSha256() {
      return imageMapSha256;
    },
    get settings() {
      return settings;
    },
    get apiToken() {
      return apiToken;
    },
    get secrets() {
      return secrets;
    },
  };
  return {
    config: Object.freeze(config),
    replace(next) {
      ({ configPath, imageMap, imageMapSha256, settings, apiToken, secrets } = next);
    },
  };
}
