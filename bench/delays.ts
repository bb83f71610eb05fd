import { randomUUID } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { jobLimits } from "../src/api/job-service.ts";
import { imageMapLimits } from "../src/config/image-map/image-map-schema.ts";
import { isFinal, type JobState } from "../src/core/job/job-state.ts";
import { hostileMaps, hostileRequests, hostileTexts } from "../test/support/hostile-inputs.ts";
import { until } from "../test/support/until.ts";
import type { Bench } from "./bench.ts";
import { type Daemon, noopFlags, noopImageMap, startDaemon } from "./daemon.ts";
import type { Figure } from "./report.ts";

const section = "delays";

/** Bytes that a guest prints in its log and on its console: the orchestrator reads a console in pieces of this size. */
const textBytes = 256 * 1024;

/** Number of inputs of each kind, and largest image map, in a smoke run. */
const quickInputs = 1;
const quickMapBytes = 32 * 1024;

/** Hostile inputs of one kind, by name. Each function sends the input to the orchestrator and waits until it is processed. */
type Feeders = ReadonlyMap<string, () => Promise<void>>;

/**
 * The longest delay of the orchestrator's event loop for each of the largest hostile inputs, which are those of the tests of
 * linear time. A real orchestrator receives them as from a publisher, a guest and an operator. The first figure is without input.
 */
export async function measureDelays(bench: Bench): Promise<Figure[]> {
  const secretsFile = join(bench.makeDirectory(), "secrets.yaml");
  const secret = "{ value: a-very-secret-value, without_repository: true }";
  writeFileSync(secretsFile, `secrets: { HIDDEN: ${secret} }\n`, { mode: 0o600 });
  const flags = ["--noop-runner", "process", "--max-attempts", "1", "--secrets-file", secretsFile];
  const daemon = await startDaemon(bench, { imageMap: noopImageMap, flags: [...noopFlags(1), ...flags] });
  try {
    const kinds = {
      "no input": new Map([["", async () => {}]]),
      request: requestFeeders(daemon),
      "log and console": textFeeders(daemon, bench.makeDirectory()),
      "image map": mapFeeders(daemon, bench.isQuick ? quickMapBytes : imageMapLimits.fileBytes),
    };
    const figures: Figure[] = [];
    for (const [kind, feeders] of Object.entries(kinds)) {
      bench.report(`the event loop's delay: ${kind}`);
      for (const [name, feed] of [...feeders].slice(0, bench.isQuick ? quickInputs : undefined)) {
        await longestDelayMs(daemon);
        await feed();
        // The delay is 0 while the event loop was not busy for longer than the measurement's precision.
        const value = await until("a delay", async () => (await longestDelayMs(daemon)) || null);
        figures.push({ section, name: name === "" ? kind : `${kind}: ${name}`, value, unit: "ms" });
      }
    }
    return figures;
  } finally {
    await daemon.kill();
  }
}

/** The event loop's longest delay since the last call, in ms, from the orchestrator's metrics. Their precision is 10 ms. */
async function longestDelayMs({ apiUrl }: Daemon): Promise<number> {
  const page = await (await fetch(`${apiUrl}/metrics`)).text();
  const seconds = /^nodejs_eventloop_lag_max_seconds (\S+)$/m.exec(page)?.[1];
  if (seconds === undefined) throw new Error("the orchestrator's metrics have no delay of the event loop");
  return Number(seconds) * 1000;
}

function requestFeeders(daemon: Daemon): Feeders {
  return new Map(
    Object.entries(hostileRequests).map(([name, make]) => [
      name,
      () => submitRefused(daemon, largestRequest(make)),
    ]),
  );
}

/** The largest request of its kind that the API parses. */
function largestRequest(make: (count: number) => object): string {
  const usual = { request_id: randomUUID(), source: "bench" };
  let text = JSON.stringify({ ...usual, ...make(1) });
  for (let count = 2; ; count *= 2) {
    const next = JSON.stringify({ ...usual, ...make(count) });
    if (next.length > jobLimits.requestJsonBytes) return text;
    text = next;
  }
}

async function submitRefused({ api }: Daemon, jobRequestJson: string): Promise<void> {
  await api.submit({ jobRequestJson }).catch(() => "A refusal is the expected result.");
}

/** Guests that print a text in their log and on their console and then die, so that the verdict quotes the console. */
function textFeeders(daemon: Daemon, directory: string): Feeders {
  return new Map(
    Object.entries(hostileTexts).map(([name, piece]) => [
      name,
      async () => {
        const file = join(directory, "text");
        writeFileSync(file, piece.repeat(Math.ceil(textBytes / piece.length)));
        await runLost(daemon, file);
      },
    ]),
  );
}

async function runLost({ api, dataDir }: Daemon, file: string): Promise<void> {
  const guest = join(dataDir, "guests/job-*");
  const script = `cat ${file} >> $(echo ${guest}/console.log); cat ${file}; sleep 1; kill -9 -$(cut -d" " -f1 ${guest}/guest.pid)`;
  const request = { request_id: randomUUID(), source: "bench", secrets: ["HIDDEN"], script };
  const { job } = await api.submit({ jobRequestJson: JSON.stringify(request) });
  const jobId = job?.id ?? "";
  const ended = await until("a lost guest", async () => {
    const { job: seen } = await api.get({ jobId });
    return seen && isFinal(seen.state as JobState) ? seen : null;
  });
  if (ended.state !== "infra_error") throw new Error(`the job ended as ${ended.verdict?.message}`);
}

function mapFeeders(daemon: Daemon, bytesMax: number): Feeders {
  return new Map(
    Object.entries(hostileMaps).map(([name, make]) => [
      name,
      () => reload(daemon, largestMap(make, bytesMax)),
    ]),
  );
}

/** The largest image map of its kind with at most `bytesMax` bytes. */
function largestMap(make: (size: number) => string, bytesMax: number): string {
  let size = bytesMax;
  while (make(size).length > bytesMax) size *= 0.9;
  return make(size);
}

/** Reloads the image map, and waits for the reload's log line, which is written for valid and invalid maps. */
async function reload(daemon: Daemon, map: string): Promise<void> {
  const reloads = () =>
    readFileSync(join(daemon.dataDir, "orchestrator.log"), "utf8").split("reloaded").length;
  const before = reloads();
  writeFileSync(join(daemon.dataDir, "images.yaml"), map);
  daemon.signal("SIGHUP");
  await until("the reload", () => reloads() > before);
}
