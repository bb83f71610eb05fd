import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { parseArgs } from "node:util";
import { measureArtifacts } from "./artifacts.ts";
import { measureBacklog } from "./backlog.ts";
import { createBench, type Section } from "./bench.ts";
import { measureDelays } from "./delays.ts";
import { measureFirewall } from "./firewall.ts";
import { measureFollowing } from "./follow.ts";
import { measureLogs } from "./logs.ts";
import { measureMemory } from "./memory.ts";
import { measureProvisioning } from "./provisioning.ts";
import { createReport } from "./report.ts";
import { runSections } from "./run.ts";
import { measureThroughput } from "./throughput.ts";

const sections = {
  throughput: measureThroughput,
  backlog: measureBacklog,
  memory: measureMemory,
  provisioning: measureProvisioning,
  firewall: measureFirewall,
  logs: measureLogs,
  follow: measureFollowing,
  artifacts: measureArtifacts,
  delays: measureDelays,
} as const satisfies Record<string, Section>;

const help = `npm run bench -- [SECTION ...] [--quick] [--output FILE]

Measures on a private RabbitMQ and PostgreSQL, prints a table, and writes the figures as JSON when a section ends. Compares no
figure with a limit. Exits with 1 when a section failed; the figures of the others are kept.
Sections: ${Object.keys(sections).join(", ")} (default: all).

  --quick        a smoke run; its figures have no meaning
  --output FILE  the JSON file to write (default: bench/results/TIME.json)
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: "boolean", default: false },
    output: { type: "string" },
    help: { type: "boolean", short: "h", default: false },
  },
});

if (values.help) process.stdout.write(help);
else await main();

async function main(): Promise<void> {
  const names = positionals.length === 0 ? Object.keys(sections) : positionals;
  const chosen = new Map(names.map((name) => [name, sectionNamed(name)]));
  const report = (text: string) => process.stderr.write(`bench: ${text}\n`);
  await using closing = new AsyncDisposableStack();
  const bench = createBench(closing, { isQuick: values.quick, report });
  const path = values.output ?? `bench/results/${new Date().toISOString().replaceAll(":", "-")}.json`;
  mkdirSync(dirname(path), { recursive: true });
  const failed = await runSections(chosen, bench, {
    print: (text) => void process.stdout.write(text),
    keep: (report) => writeFileSync(path, `${JSON.stringify(report, null, 2)}\n`),
  });
  const { commit, machine } = createReport([], values.quick);
  process.stdout.write(`\nMeasured at ${commit} on ${machine}.\n`);
  report(`wrote ${path}`);
  if (failed.length === 0) return;
  report(`failed: ${failed.join(", ")}`);
  process.exitCode = 1;
}

function sectionNamed(name: string): Section {
  const section: Section | undefined = Object.hasOwn(sections, name)
    ? sections[name as keyof typeof sections]
    : undefined;
  if (section === undefined)
    throw new TypeError(`Unknown section ${name}; needs one of ${Object.keys(sections).join(", ")}.`);
  return section;
}
