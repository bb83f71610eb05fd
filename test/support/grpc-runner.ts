/**
 * A runner as a separate program that shares only the contract with the product: grpc-js and the `.proto` files.
 * Started in place of `runner.sh`; `SOLSTICE_CONF` names the file of the seed. It runs the steps, sends their output,
 * and stops when the orchestrator requests it.
 */
import { spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import {
  type Client,
  credentials,
  type GrpcObject,
  loadPackageDefinition,
  Metadata,
  type ServiceClientConstructor,
  type ServiceError,
  status,
} from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

/** Transient failures, and the number of retries of a call. */
const passing = [status.UNAVAILABLE, status.DEADLINE_EXCEEDED, status.RESOURCE_EXHAUSTED, status.INTERNAL];
const maxTries = 100;

type Call = (
  request: object,
  metadata: Metadata,
  done: (error: ServiceError | null, answer: Answer) => void,
) => void;

interface Answer {
  readonly plan?: Buffer;
  readonly heartbeatSeconds?: number;
  readonly stop?: boolean;
}

function readAssignments(text: string): Record<string, string> {
  const pairs = text.matchAll(/([A-Z0-9_]+)='((?:[^']|'\\'')*)'\n/g);
  return Object.fromEntries([...pairs].map(([, name, value]) => [name, value?.replaceAll("'\\''", "'")]));
}

function connect(url: string): Client & Record<string, Call> {
  const includeDirs = [fileURLToPath(new URL("../../proto", import.meta.url))];
  const loaded = loadPackageDefinition(
    loadSync("solstice/v1/runner.proto", { includeDirs, keepCase: false, defaults: true }),
  );
  const { v1 } = loaded.solstice as GrpcObject;
  const Service = (v1 as GrpcObject).RunnerService as ServiceClientConstructor;
  return new Service(new URL(url).host, credentials.createInsecure()) as never;
}

const access = readAssignments(readFileSync(process.env.SOLSTICE_CONF ?? "", "utf8"));
const client = connect(access.RUNNER_URL ?? "");
let token = access.BOOTSTRAP_TOKEN ?? "";
let last: Promise<unknown> = Promise.resolve();
let ended = false;
const stop = new AbortController();

async function tryCall(method: string, request: object): Promise<Answer> {
  for (let tries = 1; ; tries += 1) {
    const metadata = new Metadata();
    metadata.set("authorization", `Bearer ${token}`);
    try {
      return await new Promise<Answer>((resolve, reject) => {
        client[method]?.(request, metadata, (error, answer) => (error ? reject(error) : resolve(answer)));
      });
    } catch (error) {
      if (tries >= maxTries || !passing.includes((error as ServiceError).code)) throw error;
      await delay(Math.min(tries, 10) * 100);
    }
  }
}

/** Makes one call after the other. */
function call(method: string, request: object): Promise<Answer> {
  const result = last.then(async () => {
    const answer = await tryCall(method, request);
    if (answer.stop) stop.abort();
    return answer;
  });
  last = result.catch(() => {});
  return result;
}

const sessionToken = randomBytes(32).toString("hex");
const { plan: fragment, heartbeatSeconds = 10 } = await call("start", {
  sessionToken,
  runnerVersion: "grpc-js",
});
token = sessionToken;
const plan = readAssignments(String(fragment));
const digest = createHash("sha256");
let length = 0;

async function append(data: Buffer): Promise<void> {
  const offset = length;
  length += data.length;
  digest.update(data);
  await call("appendLog", { offset, data });
}

async function runStep(index: number, script: string, env: NodeJS.ProcessEnv): Promise<number> {
  await call("reportStep", { index, phase: "STEP_PHASE_STARTED", logOffset: length });
  const child = spawn("/bin/sh", ["-e", "-c", `exec 2>&1\n${script}`], {
    detached: true,
    env,
    stdio: ["ignore", "pipe", "ignore"],
  });
  const closed = once(child, "close");
  const kill = () => process.kill(-(child.pid ?? 0), "SIGTERM");
  stop.signal.addEventListener("abort", kill, { once: true });
  for await (const data of child.stdout) await append(data);
  const [code] = await closed;
  stop.signal.removeEventListener("abort", kill);
  await call("reportStep", { index, phase: "STEP_PHASE_FINISHED", exitCode: code ?? 143, logOffset: length });
  return code ?? 143;
}

async function beat(): Promise<void> {
  while (!ended) {
    await delay((heartbeatSeconds * 1000) / 2, undefined, { ref: false });
    if (!ended) await call("appendLog", {});
  }
}

void beat();
const env = { ...process.env };
for (let number = 1; number <= Number(plan.PLAN_ENV_COUNT); number += 1) {
  const [name = "", ...value] = (plan[`PLAN_ENV_${number}`] ?? "").split("=");
  env[name] = value.join("=");
}
env.SOLSTICE_JOB_ID = plan.PLAN_JOB_ID;
let exitCode = 0;
for (let number = 1; exitCode === 0 && number <= Number(plan.PLAN_STEP_COUNT); number += 1) {
  exitCode = stop.signal.aborted
    ? 143
    : await runStep(number - 1, plan[`PLAN_STEP_${number}_RUN`] ?? "", env);
}
await call("finish", { exitCode, logLength: length, logSha256: digest.digest("hex") });
ended = true;
client.close();
