import type { ConfigSource } from "../../config/reload/config-source.ts";
import { errorText, isSolsticeError } from "../../core/errors.ts";
import type { Context } from "../context.ts";
import { imagesOfHost } from "../hosts/images-of-host.ts";
import { findMissingImages } from "../schedule/missing-images.ts";
import type { LiveConfig } from "./live-config.ts";
import { compareConfigs, needsAttention, type ReloadReport, reportText } from "./reload-report.ts";
import type { ServiceManager } from "./service-manager.ts";

/** What a reload works with. */
export interface ReloadParts {
  readonly live: LiveConfig;
  readonly source: Pick<ConfigSource, "reload">;
  readonly serviceManager: Pick<ServiceManager, "ready" | "reloading">;
}

/** The SIGHUPs of this process. */
export interface Reloads {
  /** Reloads at each SIGHUP from now on, also at one that came before. Many during one reload are one more. */
  start(context: Context, parts: ReloadParts): void;
  /** Resolves when no reload is under way any more, and none begins. */
  stop(): Promise<void>;
}

/** Catches SIGHUP, whose default action would end the process without a word. */
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

/** One reload: a configuration with a mistake changes nothing, and all its mistakes are logged. Never rejects. */
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
    const what = "not reloaded: the configuration is wrong, and the present one stays";
    log.error(
      isMistake ? { problems } : { err: error },
      isMistake ? what : "not reloaded: the present one stays",
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
  // At once: no loop may see an image of one map and ask the store of the other.
  live.replace(config);
  showImages();
  secrets.replace(config.secrets);
  context.store.wake({ kind: "all" });
  for (const warning of warnings) log.warn({}, warning);
  const changes = compareConfigs(before, { ...config, secretSet: secrets.current() }, needRestart);
  // The reload is done: a store that is away, which other loops report, must not make it look undone.
  const missingImages = await findMissingImages(context).catch(() => ({ jobs: 0, images: [] }));
  return { ...changes, missingImages };
}

/** New images may have rules of their own for the network: in place before their first guest. */
async function closeNetwork({ hypervisor, runnerUrl, log }: Context): Promise<void> {
  await hypervisor.ensureFirewall(runnerUrl).catch((error: unknown) => {
    log.warn(
      { problem: errorText(error) },
      "the guests' firewall was not brought up to date; it is tried again",
    );
  });
}
