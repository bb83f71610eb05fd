import { parseArgs } from "node:util";
import { runChaos } from "./run.ts";

const help = `npm run chaos -- [--seed N] [--minutes M] [--jobs N]

Kills a private RabbitMQ, a private PostgreSQL and two orchestrators (noop) at random moments while jobs arrive, then checks
that nothing was lost, doubled or leaked.

  --seed N      repeats the messages and the moments of an earlier run (default: a new one, which is printed)
  --minutes M   how long jobs arrive and things are killed (default: 5)
  --jobs N      how many jobs arrive in that time (default: 600 for each minute)
`;

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    minutes: { type: "string", default: "5" },
    jobs: { type: "string" },
    help: { type: "boolean", short: "h" },
  },
});

if (values.help) process.stdout.write(help);
else await main();

async function main(): Promise<void> {
  const seed = wholeNumber("--seed", values.seed ?? String(Math.floor(Math.random() * 2 ** 31)));
  const minutes = wholeNumber("--minutes", values.minutes);
  const jobs = values.jobs === undefined ? minutes * 600 : wholeNumber("--jobs", values.jobs);
  const began = Date.now();
  const tell = (text: string) =>
    process.stdout.write(`${((Date.now() - began) / 1000).toFixed(1).padStart(7)} s  ${text}\n`);
  tell(`seed ${seed}: ${jobs} jobs in ${minutes} minutes`);
  try {
    const summary = await runChaos({ seed, jobs, durationMs: minutes * 60_000, tell });
    tell(`every promise held: ${JSON.stringify(summary)}`);
  } catch (error) {
    tell(`FAILED. Repeat with: npm run chaos -- --seed ${seed} --minutes ${minutes} --jobs ${jobs}`);
    throw error;
  }
}

function wholeNumber(flag: string, text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new TypeError(`${flag} needs a whole number, not ${text}.`);
}
