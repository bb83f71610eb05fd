/** Runs commands of the documentation's pages as they stand there, on a host of their own (`scripts/page-host.sh`). */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { runInCleanRoot } from "../support/clean-root.ts";
import { solstice } from "../support/orchestrator.ts";

const root = join(import.meta.dirname, "../..");

/** One thing that is done on the host. */
export interface PageStep {
  /** Names what the step prints in the result; "" for a step whose output is of no interest. */
  readonly name: string;
  /** Shell commands. Variables and the working directory stay for the next step. */
  readonly commands: string;
}

/** What {@link runOnPageHost} needs beside the steps. */
export interface PageHostOptions {
  /** Files of this machine, copied to `/tmp` there. */
  readonly files?: readonly string[];
  /** Whether the steps install the command line themselves. Default: the checkout's is there, with settings for a first start. */
  readonly installs?: boolean;
  readonly timeoutMs?: number;
}

/** The code blocks below a heading of a task page (`## `), in order. Throws where there is none. */
export function codeBlocks(page: string, heading: string, language = "sh"): string[] {
  const text = readFileSync(join(root, "docs/tasks", page), "utf8");
  const section = text.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? "";
  const blocks = [...section.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].filter(
    ([, name]) => name === language,
  );
  if (blocks.length === 0) throw new Error(`${page} has no code in ${language} below "${heading}"`);
  return blocks.map(([, , code = ""]) => code);
}

/** The first such block. */
export function codeBlock(page: string, heading: string, language?: string): string {
  return codeBlocks(page, heading, language)[0] ?? "";
}

/** Runs the steps one after the other; what each printed, by its name. Throws, with all that was printed, when a command fails. */
export async function runOnPageHost(
  context: TestContext,
  steps: readonly PageStep[],
  options: PageHostOptions = {},
): Promise<(name: string) => string> {
  const directory = mkdtempSync(join(tmpdir(), "solstice-page-"));
  context.after(() => rmSync(directory, { recursive: true }));
  const script = join(directory, "steps");
  writeFileSync(script, steps.map(({ name, commands }) => `echo "== ${name}"\n${commands}\n`).join(""));
  const output = await runInCleanRoot({
    script: join(import.meta.dirname, "scripts/page-host.sh"),
    files: [script, join(import.meta.dirname, "scripts/systemctl.sh")],
    words: [options.installs ? "installed" : solstice],
    copies: options.files ?? [],
    showsCheckout: !options.installs,
    timeoutMs: options.timeoutMs ?? 120_000,
  });
  return (name) => {
    const part = output.split(/^== /m).find((text) => text.startsWith(`${name}\n`));
    if (part === undefined) throw new Error(`there was no step ${name}:\n${output}`);
    return part.slice(name.length + 1).trimEnd();
  };
}
