import type { ConfigSource } from "../../config/reload/config-source.ts";
import { errorText, isSolsticeError } from "../../core/errors.ts";
import type { Context } from "../context.ts";
import { imagesOfHost } from "../hosts/images-of-host.ts";
import { findMissingImages } from "../schedule/missing-images.ts";
import type { LiveConfig } from "./live-config.ts";
import { compareConfigs, needsAttention, type ReloadReport, reportText } from "./reload-report.ts";
import type { ServiceManager } from "./service-manager.ts";

/** The dependencies of a reload. */
export interface ReloadParts {
  readonly live: LiveConfig;
  readonly source: Pick<ConfigSource, "reload">;
  readonly serviceManager: Pick<ServiceManager, "ready" | "reloading">;
}

/** The reloads of this process by SIGHUP. */
export interface Reloads {
  /**
   * Reloads at each SIGHUP from now on, including one that arrived before. Many during one reload make one
   * more.
   */
  start(context: Context, parts: ReloadParts): void;
  /** Resolves when no reload is in progress, and none begins. */
  stop(): Promise<void>;
}

/** Catches SIGHUP, whose default action ends the process without a log line. */
export function catchReloads(): Reloads {
  let isDue = false;
  let running: Promise<void> | null = null;
  let act: (() => Promise<void>) | null = null;
  const run = async () => {
    while (isDue && act !== null) {
      isDue = false;
      await act();
    }
    running = null;
  };
  const wake = () => {
    if (isDue && act !== null) running ??= run();
  };
  process.on("SIGHUP", () => {
    isDue = true;
    wake();
  });
  return {
    start(context, parts) {
      act = () => reload(context, parts);
      wake();
    },
    async stop() {
      act = null;
      await running;
    },
  };
}

/**
 * Runs one reload: a configuration with a mistake changes nothing, and all its mistakes are logged. Never
 * rejects.
 */
async function reload(context: Context, parts: ReloadParts): Promise<void> {
  const { serviceManager } = parts;
  await serviceManager.reloading();
  await serviceManager.ready(await outcomeOf(context, parts));
}

async function outcomeOf(context: Context, parts: ReloadParts): Promise<string> {
  const { log } = context;
  try {
    const report = await exchange(context, parts);
    const text = reportText(report);
    log[needsAttention(report) ? "warn" : "info"](report, text);
    await closeNetwork(context);
    return text;
  } catch (error) {
    const problems = errorText(error).split("\n");
    const isMistake = isSolsticeError(error, "config_invalid");
    const what = "not reloaded: the configuration is invalid; the current one stays";
    log.error(
      isMistake ? { problems } : { err: error },
      isMistake ? what : "not reloaded: the current configuration stays",
    );
    return `Not reloaded: ${problems[0]}${problems.length > 1 ? ` (and ${problems.length - 1} more)` : ""}`;
  }
}

async function exchange(context: Context, { live, source }: ReloadParts): Promise<ReloadReport> {
  const { images, secrets, hypervisor, log } = context;
  const { config, needRestart, warnings } = await source.reload();
  const { imageMap, apiToken } = live.config;
  const before = { imageMap, apiToken, secretSet: secrets.current() };
  const showImages = await images.stage(imagesOfHost(config.imageMap, hypervisor.backend, log));
  // Replaced at once: no loop may combine an image of one map with the other map in the store.
  live.replace(config);
  showImages();
  secrets.replace(config.secrets);
  context.store.wake({ kind: "all" });
  for (const warning of warnings) log.warn({}, warning);
  const changes = compareConfigs(before, { ...config, secretSet: secrets.current() }, needRestart);
  // The reload is complete: an unavailable store, which other loops log, must not make it fail.
  const missingImages = await findMissingImages(context).catch(() => ({ jobs: 0, images: [] }));
  return { ...changes, missingImages };
}

/** New images may have their own firewall rules, which must be in place before their first guest. */
async function closeNetwork({ hypervisor, runnerUrl, log }: Context): Promise<void> {
  await hypervisor.ensureFirewall(runnerUrl).catch((error: unknown) => {
    log.warn({ problem: errorText(error) }, "guest firewall was not updated, retrying");
  });
}
