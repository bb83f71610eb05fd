import { execFileSync } from "node:child_process";
import { cpus, release, totalmem } from "node:os";

/** One measured number. */
export interface Figure {
  readonly section: string;
  readonly name: string;
  readonly value: number;
  /** Such as `ms`, `jobs/s`, `MB`, `ratio`. */
  readonly unit: string;
}

/** All figures of a run, with the machine and the commit. */
export interface Report {
  readonly measuredAt: string;
  readonly commit: string;
  readonly machine: string;
  readonly isQuick: boolean;
  readonly figures: readonly Figure[];
}

/** A report with this machine, this checkout and the current time. */
export function createReport(figures: readonly Figure[], isQuick: boolean): Report {
  return {
    measuredAt: new Date().toISOString(),
    commit: commitName(),
    machine: machineText(),
    isQuick,
    figures,
  };
}

/** Figures as an aligned table, one line for each. */
export function rowsText(figures: readonly Figure[]): string {
  const rows = figures.map(({ section, name, value, unit }) => [section, name, valueText(value), unit]);
  const widths = [0, 1, 2].map((at) => Math.max(0, ...rows.map((row) => row[at]?.length ?? 0)));
  const lines = rows.map(([section = "", name = "", value = "", unit = ""]) =>
    [section.padEnd(widths[0] ?? 0), name.padEnd(widths[1] ?? 0), value.padStart(widths[2] ?? 0), unit].join(
      "  ",
    ),
  );
  return `${lines.join("\n")}\n`;
}

/** Rounds to three significant digits, which is more than the precision of a shared machine. */
function valueText(value: number): string {
  return value >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(3)));
}

function machineText(): string {
  const processors = cpus();
  const memory = Math.round(totalmem() / 1024 ** 3);
  return `${processors.length} × ${processors[0]?.model ?? "unknown"}, ${memory} GiB, Linux ${release()}, Node ${process.version}`;
}

function commitName(): string {
  try {
    const git = (...args: string[]) => execFileSync("git", args, { encoding: "utf8", stdio: "pipe" }).trim();
    const isChanged = git("status", "--porcelain", "--untracked-files=no") !== "";
    return git("rev-parse", "--short", "HEAD") + (isChanged ? " with changes" : "");
  } catch {
    return "an unknown commit";
  }
}
