import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { isSolsticeError, SolsticeError } from "../core/errors.ts";
import { isLoopback } from "../core/hosts/loopback.ts";
import type { ImageMap } from "../core/image-map/image-map.ts";
import { knownLabels } from "../core/image-map/labels.ts";
import { didYouMean } from "../core/text/closest-name.ts";
import { fileProblem } from "../core/text/file-problem.ts";
import { readUtf8, type Utf8Reading } from "../core/text/utf8-text.ts";
import { defaultDataDir } from "./data-dir.ts";
import { imageMapLimits } from "./image-map/image-map-schema.ts";
import { readImageMap } from "./image-map/parse-image-map.ts";
import type { OptionValues } from "./options/option-definition.ts";
import { orchestratorOptions } from "./options/options.ts";
import { type Environment, type OptionReading, type RawFlags, readOptions } from "./options/read-options.ts";
import { readSettings } from "./options/settings.ts";
import type { AmqpConfig, OrchestratorConfig, Setting } from "./orchestrator-config.ts";
import { loadSecrets } from "./secrets/load-secrets.ts";
import type { SecretsConfig } from "./secrets/secrets-config.ts";
import { zonesConfig, zonesProblems } from "./zones-config.ts";

/** The example image map of this installation. */
export const shippedImageMapPath = fileURLToPath(
  new URL("../../examples/orchestrator-image-map.yaml", import.meta.url),
);

const mebibyte = 1024 * 1024;

type Values = OptionValues<typeof orchestratorOptions>;

/** The settings of `solstice images`. */
export interface ImagesConfig {
  readonly configPath: string;
  readonly dataDir: string;
  readonly imageMap: ImageMap;
  readonly imageMapSha256: string;
  readonly hypervisor: OrchestratorConfig["hypervisor"];
}

/**
 * The orchestrator's whole configuration, from flags, environment and the image map. Throws one `config_invalid` error with a
 * line for each problem.
 */
export async function loadOrchestratorConfig(flags: RawFlags, env: Environment): Promise<OrchestratorConfig> {
  const reading = readOptions(orchestratorOptions, flags, env);
  const files = await readFiles(reading.values, env);
  const secrets = await readSecrets(reading.values.secretsFile ?? null, env);
  const problems = [
    ...reading.problems,
    ...listenProblems(reading.values),
    ...brokerProblems(reading.values),
    ...zonesProblems(reading.values, guestsInZones(reading.values)),
    ...capacityProblems(reading.values.capacityMap ?? new Map(), files.imageMap),
    ...files.problems,
    ...secrets.problems,
  ];
  if (!isComplete(reading) || !files.imageMap || problems.length > 0) throw invalid(problems);
  const { imageMap } = files;
  const hasNotifySocket = Boolean(env.NOTIFY_SOCKET);
  const settings = Object.freeze(readSettings(orchestratorOptions, flags, env));
  const read = { ...files, imageMap, secrets: secrets.config };
  return freezeConfig(reading.values, { ...read, hasNotifySocket, settings });
}

/** The part of the configuration that concerns images; reads `config`, `dataDir` and `hypervisor`. Throws `config_invalid`. */
export async function loadImagesConfig(flags: RawFlags, env: Environment): Promise<ImagesConfig> {
  const { config, dataDir, hypervisor } = orchestratorOptions;
  const reading = readOptions({ config, dataDir, hypervisor }, flags, env);
  const { imageMap, ...files } = await readFiles(reading.values, env);
  const problems = [...reading.problems, ...files.problems];
  const { hypervisor: chosen } = reading.values;
  if (!imageMap || chosen === undefined || problems.length > 0) throw invalid(problems);
  const { configPath, dataDir: folder, imageMapSha256 } = files;
  return Object.freeze({ configPath, dataDir: folder, imageMap, imageMapSha256, hypervisor: chosen });
}

/** One error for all problems. */
export function invalid(problems: readonly string[]): SolsticeError {
  return new SolsticeError("config_invalid", problems.join("\n"));
}

function isComplete(reading: OptionReading<typeof orchestratorOptions>): reading is {
  readonly values: Values;
  readonly problems: readonly string[];
} {
  return reading.problems.length === 0;
}

async function readFiles(values: Partial<Values>, env: Environment) {
  const configPath = values.config ?? shippedImageMapPath;
  const dataDir = values.dataDir ?? defaultDataDir(env, process.getuid?.());
  try {
    const read = await readBounded(configPath);
    if ("wrongLine" in read) {
      const problem = `${configPath}:${read.wrongLine}:1: not UTF-8 text; needs the image map saved as UTF-8`;
      return { configPath, dataDir, imageMap: null, imageMapSha256: "", problems: [problem] };
    }
    const { map, problems } = readImageMap(read.text, { fileName: configPath, dataDir });
    const imageMapSha256 = createHash("sha256").update(read.text).digest("hex");
    return { configPath, dataDir, imageMap: map, imageMapSha256, problems };
  } catch (error) {
    const problem = `--config: cannot read the image map ${configPath}: ${fileProblem(error)}; needs a YAML file.`;
    return { configPath, dataDir, imageMap: null, imageMapSha256: "", problems: [problem] };
  }
}

async function readSecrets(
  path: string | null,
  env: Environment,
): Promise<{ config: SecretsConfig | null; problems: string[] }> {
  if (path === null) return { config: null, problems: [] };
  const source = { path, env };
  try {
    return { config: Object.freeze({ source, initial: await loadSecrets(source) }), problems: [] };
  } catch (error) {
    if (!isSolsticeError(error, "config_invalid")) throw error;
    return { config: null, problems: error.message.split("\n") };
  }
}

/** Reads a file, at most one byte more than the limit, so that a device or a huge file cannot fill the memory. */
async function readBounded(filePath: string): Promise<Utf8Reading> {
  await using file = await open(filePath);
  const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(imageMapLimits.fileBytes + 1) });
  // The last character may be cut. The caller refuses such a file because of its length.
  if (bytesRead > imageMapLimits.fileBytes) return { text: buffer.toString("latin1", 0, bytesRead) };
  return readUtf8(buffer.subarray(0, bytesRead));
}

function listenProblems(values: Partial<Values>): string[] {
  const { apiListen, apiToken, apiPublicUrl } = values;
  if (!apiListen || apiToken || apiToken === undefined) return [];
  if (apiPublicUrl) {
    return [
      `--api-public-url: clients reach the API at ${apiPublicUrl}, but no token is set; needs API_TOKEN.`,
    ];
  }
  if (isLoopback(apiListen.host)) return [];
  const address = `${apiListen.host}:${apiListen.port}`;
  return [
    `--api-listen: other machines can reach ${address}, but no token is set; needs API_TOKEN, or a loopback address such as 127.0.0.1:7410.`,
  ];
}

/** Refuses names that the exchange uses for results: a request queue that also received results would reject each of them. */
function brokerProblems(values: Partial<Values>): string[] {
  const { amqpUrl, amqpExchange, amqpQueue, amqpRoutingKey } = values;
  if (!amqpUrl) return [];
  const problems = [];
  if (amqpRoutingKey === "job.result") {
    problems.push(
      "--amqp-routing-key: job.result is the routing key of results; needs another key, such as job.request.",
    );
  }
  if (amqpQueue === `${amqpExchange}.results`) {
    problems.push(
      `--amqp-queue: ${amqpQueue} is the queue of results; needs another name, such as solstice.jobs.v1.`,
    );
  }
  return problems;
}

/** Number of guests that need an address; null if the backend is not `zones`, or an option is invalid. */
function guestsInZones({ hypervisor, maxConcurrency, maxHolds }: Partial<Values>): number | null {
  if (hypervisor !== "zones" || maxConcurrency === undefined || maxHolds === undefined) return null;
  return maxConcurrency + maxHolds;
}

function capacityProblems(caps: ReadonlyMap<string, number>, map: ImageMap | null): string[] {
  if (!map) return [];
  const labels = knownLabels(map);
  const unknown = [...caps.keys()].filter((label) => !labels.includes(label));
  return unknown.map(
    (label) =>
      `--capacity-map: the image map has no label "${label}"${didYouMean(label, labels)}; needs one of ${labels.join(", ")}.`,
  );
}

interface ConfigFiles {
  readonly configPath: string;
  readonly dataDir: string;
  readonly imageMap: ImageMap;
  readonly imageMapSha256: string;
  readonly secrets: SecretsConfig | null;
  readonly hasNotifySocket: boolean;
  readonly settings: readonly Setting[];
}

function freezeConfig(values: Values, files: ConfigFiles): OrchestratorConfig {
  return Object.freeze({
    configPath: files.configPath,
    imageMap: files.imageMap,
    imageMapSha256: files.imageMapSha256,
    settings: files.settings,
    dataDir: files.dataDir,
    secrets: files.secrets,
    maxConcurrency: values.maxConcurrency,
    maxHolds: values.maxHolds,
    holdLimitSeconds: values.holdLimit,
    capacityMap: values.capacityMap ?? new Map<string, number>(),
    hypervisor: values.hypervisor,
    libvirtUri: values.libvirtUri,
    libvirtNetwork: values.libvirtNetwork,
    libvirtVirtType: values.libvirtVirtType,
    firewall: values.firewall,
    guestLanAccess: Object.freeze(values.guestLanAccess ?? []),
    guestHostPorts: Object.freeze(values.guestHostPorts ?? []),
    zones: zonesConfig(values),
    apiListen: Object.freeze(values.apiListen),
    apiPublicUrl: values.apiPublicUrl,
    apiToken: values.apiToken,
    runnerListen: Object.freeze(values.runnerListen),
    runnerUrl: values.runnerUrl,
    bootTimeoutSeconds: values.bootTimeout,
    jobTimeoutSeconds: values.jobTimeout,
    stopTimeoutSeconds: values.stopTimeout,
    cleanupTimeoutSeconds: values.cleanupTimeout,
    drainTimeoutSeconds: values.drainTimeout,
    imageTimeoutSeconds: values.imageTimeout,
    silenceTimeoutSeconds: values.silenceTimeout,
    maxAttempts: values.maxAttempts,
    logLimitBytes: values.logLimitMb * mebibyte,
    maxQueued: values.maxQueued ?? (values.databaseUrl === null ? 1000 : 200_000),
    databaseUrl: values.databaseUrl,
    leaseTimeoutSeconds: values.leaseTimeout,
    restartGraceSeconds: values.restartGrace,
    amqp: amqpConfig(values),
    diskReserveBytes: values.diskReserveMb * mebibyte,
    auditIntervalSeconds: values.auditInterval,
    jobRetentionSeconds: values.jobRetention,
    logStoreLimitBytes: values.logStoreLimitMb * mebibyte,
    imageRetentionSeconds: values.imageRetention,
    ...blobConfig(values, files.dataDir),
    cache: Object.freeze({
      entryBytes: values.cacheEntryLimitMb * mebibyte,
      repositoryBytes: values.cacheRepositoryLimitMb * mebibyte,
      totalBytes: values.cacheLimitMb * mebibyte,
      retentionSeconds: values.cacheRetention,
      sharedRefs: values.cacheSharedRefs,
    }),
    noop: Object.freeze({ runner: values.noopRunner, delayMs: values.noopDelayMs }),
    hasNotifySocket: files.hasNotifySocket,
    logLevel: values.logLevel,
  });
}

function blobConfig(values: Values, dataDir: string) {
  const directory = { kind: "directory", path: join(dataDir, "files") } as const;
  return {
    blobPlace: Object.freeze(values.blobStore ?? directory),
    s3: Object.freeze({ endpoint: values.s3Endpoint, region: values.s3Region }),
    artifactLimits: Object.freeze({
      fileBytes: values.artifactFileLimitMb * mebibyte,
      jobBytes: values.artifactJobLimitMb * mebibyte,
      storeBytes: values.artifactStoreLimitMb * mebibyte,
    }),
    artifactRetentionSeconds: values.artifactRetention,
  };
}

function amqpConfig(values: Values): AmqpConfig | null {
  if (values.amqpUrl === null) return null;
  return Object.freeze({
    url: values.amqpUrl,
    exchange: values.amqpExchange,
    queue: values.amqpQueue,
    routingKey: values.amqpRoutingKey,
    prefetch: values.amqpPrefetch ?? values.maxConcurrency,
  });
}
