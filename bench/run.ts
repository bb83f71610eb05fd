import { errorText } from "../src/core/errors.ts";
import type { Bench, Section } from "./bench.ts";
import { createReport, type Figure, type Report, rowsText } from "./report.ts";

/** Where a run puts what it has. */
export interface Output {
  /** Prints text for people. */
  print(text: string): void;
  /** Keeps the figures so far, in place of those that it was given before. */
  keep(report: Report): void;
}

/**
 * Measures the sections one after the other. What each has measured is printed and kept as soon as it ends, so that a later one
 * that fails takes nothing away. Returns the names of those that failed.
 */
export async function runSections(
  sections: ReadonlyMap<string, Section>,
  bench: Bench,
  output: Output,
): Promise<string[]> {
  const figures: Figure[] = [];
  const failed: string[] = [];
  for (const [name, section] of sections) {
    try {
      const measured = await section(bench);
      figures.push(...measured);
      output.print(rowsText(measured));
    } catch (error) {
      failed.push(name);
      bench.report(`${name} failed: ${errorText(error)}`);
    }
    output.keep(createReport([...figures], bench.isQuick));
  }
  return failed;
}
