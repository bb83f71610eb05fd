import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { runChaos } from "./run.ts";

const help = `npm run chaos -- [--seed N] [--minutes M] [--jobs N]

Kills a private RabbitMQ, a private PostgreSQL and two orchestrators (noop), stops them and cuts their
connections, at random moments while jobs arrive; then checks that nothing was lost, doubled or leaked.
See docs/contributing/testing.md for how to read a failure.

  --seed N      repeats the messages and the moments of an earlier run (default: a new seed, which is printed)
  --minutes M   duration of faults and of arriving jobs (default: 5)
  --jobs N      number of jobs in that time (default: 1000 for each minute)
  --logs DIR    directory for the orchestrators' logs of a failed run (default: chaos-logs in the temporary directory)
`;

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    minutes: { type: "string", default: "5" },
    jobs: { type: "string" },
    logs: { type: "string", default: join(tmpdir(), "chaos-logs") },
    help: { type: "boolean", short: "h" },
  },
});

if (values.help) process.stdout.write(help);
else await main();

async function main(): Promise<void> {
  const seed = wholeNumber("--seed", values.seed ?? String(Math.floor(Math.random() * 2 ** 31)));
  const minutes = wholeNumber("--minutes", values.minutes);
  const jobs = values.jobs === undefined ? minutes * 1000 : wholeNumber("--jobs", values.jobs);
  const began = Date.now();
  const report = (text: string) =>
    process.stdout.write(`${((Date.now() - began) / 1000).toFixed(1).padStart(7)} s  ${text}\n`);
  report(`seed ${seed}: ${jobs} jobs in ${minutes} minutes`);
  try {
    const durationMs = minutes * 60_000;
    const size = { jobs, calmJobs: 120, durationMs, storm: "long" } as const;
    const summary = await runChaos({ seed, ...size, report, failureLogs: values.logs });
    report(`every promise held: ${JSON.stringify(summary)}`);
  } catch (error) {
    report(`FAILED; the orchestrators' logs are in ${values.logs}, unless they did not start.`);
    report(`Repeat with: npm run chaos -- --seed ${seed} --minutes ${minutes} --jobs ${jobs}`);
    throw error;
  }
}

function wholeNumber(flag: string, text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new TypeError(`${flag} needs a whole number, not ${text}.`);
}
