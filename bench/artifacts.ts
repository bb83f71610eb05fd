import { randomUUID } from "node:crypto";
import type { Job } from "../src/gen/solstice/v1/jobs_pb.ts";
import { until } from "../test/support/until.ts";
import type { Bench } from "./bench.ts";
import { type Daemon, noopFlags, noopImageMap, startDaemon } from "./daemon.ts";
import type { Figure } from "./report.ts";
import { percentile } from "./statistics.ts";

const section = "artifacts";

/** Total size of each job's artifacts, in bytes, as one file or as many files. */
const totalBytes = 64 * 1024;

/** Time limit of one job, in seconds. */
const jobTimeoutSeconds = 600;

/**
 * The cost of many small files, compared with one file of the same total length and with bare calls of curl. Uses the real
 * `runner.sh`, as a process of this machine. The kinds of jobs alternate, so that other load slows all of them equally.
 */
export async function measureArtifacts(bench: Bench): Promise<Figure[]> {
  const daemon = await startDaemon(bench, {
    imageMap: noopImageMap,
    flags: [...noopFlags(1), "--noop-runner", "process"],
  });
  const files = bench.isQuick ? 4 : 64;
  const rounds = bench.isQuick ? 1 : 5;
  const taken = { many: [] as number[], one: [] as number[], curl: [] as number[] };
  try {
    for (let round = 1; round <= rounds; round += 1) {
      bench.report(`artifacts: ${files} files and one file, round ${round} of ${rounds}`);
      taken.many.push((await keepFiles(daemon, files)) / files);
      taken.one.push(await keepFiles(daemon, 1));
      taken.curl.push((await callBare(daemon, files)) / files);
    }
  } finally {
    await daemon.kill();
  }
  const ratios = (under: readonly number[]) => taken.many.map((ms, round) => ms / (under[round] ?? ms));
  const median = (values: readonly number[]) => percentile([...values], 0.5);
  return [
    { section, name: `one of ${files} files that a job keeps`, value: median(taken.many), unit: "ms" },
    { section, name: "one file of the same length as all", value: median(taken.one), unit: "ms" },
    { section, name: "a bare call of curl", value: median(taken.curl), unit: "ms" },
    { section, name: "one of many files, in bare calls", value: median(ratios(taken.curl)), unit: "ratio" },
  ];
}

/** Time in ms from a job's last step to its end, during which it stores its files. */
async function keepFiles(daemon: Daemon, files: number): Promise<number> {
  const bytes = totalBytes / files;
  const script = `i=0; while [ $i -lt ${files} ]; do head -c ${bytes} /dev/urandom >"kept-$i"; i=$((i + 1)); done`;
  const job = await runJob(daemon, { script, artifacts: [{ paths: ["kept-*"] }] });
  const { artifacts } = await daemon.api.listArtifacts({ jobId: job.id });
  if (artifacts.length !== files) throw new Error(`${artifacts.length} of ${files} files were kept`);
  const ended = job.transitions.find(({ to }) => to === "finalizing")?.atMs ?? 0n;
  return Number(ended - (job.steps.at(-1)?.finishedMs ?? 0n));
}

/** Duration in ms of a step that only calls the API with curl, one call after the other. */
async function callBare(daemon: Daemon, calls: number): Promise<number> {
  const script = `i=0; while [ $i -lt ${calls} ]; do curl -qs -o answer ${daemon.apiUrl}/healthz; i=$((i + 1)); done`;
  const { steps } = await runJob(daemon, { script });
  return Number((steps.at(-1)?.finishedMs ?? 0n) - (steps.at(-1)?.startedMs ?? 0n));
}

async function runJob({ api }: Daemon, request: object): Promise<Job> {
  const jobRequestJson = JSON.stringify({ request_id: randomUUID(), source: "bench", ...request });
  const { job: sent } = await api.submit({ jobRequestJson });
  const endedJob = async () => {
    const { job } = await api.get({ jobId: sent?.id ?? "" });
    return job && job.finishedMs > 0n ? job : null;
  };
  const job = await until("the end of a job", endedJob, jobTimeoutSeconds);
  if (job.state !== "succeeded") throw new Error(`the job is ${job.state}: ${job.verdict?.message}`);
  return job;
}
