import { errorText } from "../src/core/errors.ts";
import type { Bench, Section } from "./bench.ts";
import { createReport, type Figure, type Report, rowsText } from "./report.ts";

/** The output of a run. */
export interface Output {
  /** Prints text for people. */
  print(text: string): void;
  /** Stores all figures so far, instead of those of the previous call. */
  keep(report: Report): void;
}

/**
 * Measures the sections one after the other. Prints and stores the figures of each when it ends, so that a later failure
 * loses none. Returns the names of the sections that failed.
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
