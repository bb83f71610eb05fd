import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { parseArgs } from "node:util";
import { measureArtifacts } from "./artifacts.ts";
import { measureBacklog } from "./backlog.ts";
import { createBench, type Section } from "./bench.ts";
import { measureFirewall } from "./firewall.ts";
import { measureFollowing } from "./follow.ts";
import { measureLogs } from "./logs.ts";
import { measureMemory } from "./memory.ts";
import { measureProvisioning } from "./provisioning.ts";
import { createReport, type Figure, reportText } from "./report.ts";
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
} as const satisfies Record<string, Section>;

const help = `npm run bench -- [SECTION ...] [--quick] [--output FILE]

Measures on a private RabbitMQ and PostgreSQL, prints a table, and writes the figures as JSON. Nothing is judged.
Sections: ${Object.keys(sections).join(", ")} (default: all).

  --quick        a smoke run; its figures say nothing
  --output FILE  where the JSON goes (default: bench/results/TIME.json)
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
  const chosen = names.map(sectionNamed);
  const tell = (text: string) => process.stderr.write(`bench: ${text}\n`);
  await using closing = new AsyncDisposableStack();
  const bench = createBench(closing, { isQuick: values.quick, tell });
  const figures: Figure[] = [];
  for (const section of chosen) figures.push(...(await section(bench)));
  const report = createReport(figures, values.quick);
  process.stdout.write(reportText(report));
  const path = values.output ?? `bench/results/${report.measuredAt.replaceAll(":", "-")}.json`;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${JSON.stringify(report, null, 2)}\n`);
  tell(`wrote ${path}`);
}

function sectionNamed(name: string): Section {
  const section: Section | undefined = Object.hasOwn(sections, name)
    ? sections[name as keyof typeof sections]
    : undefined;
  if (section === undefined)
    throw new TypeError(`There is no section ${name}; there are: ${Object.keys(sections).join(", ")}.`);
  return section;
}
