/** Runs unchanged commands of the documentation's pages on a separate host (`scripts/page-host.sh`). */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { runInCleanRoot } from "../support/clean-root.ts";
import { solstice } from "../support/orchestrator.ts";

const root = join(import.meta.dirname, "../..");

/** Number of output lines that are shown when a command fails: the run's summary shows no more lines of an error. */
const shownLines = 25;

/** An error of `execFile`. */
interface FailedCommand {
  readonly code?: number;
  readonly signal?: string;
  readonly stdout?: string;
  readonly stderr?: string;
}

/** One step on the host. */
export interface PageStep {
  /** The key of the step's output in the result; "" for a step whose output is not used. */
  readonly name: string;
  /** Shell commands. Variables and the working directory are kept for the next step. */
  readonly commands: string;
  /** True for commands that need this machine's network: such steps run before all others, in a separate shell. */
  readonly online?: boolean;
}

/** Options of {@link runOnPageHost}. */
export interface PageHostOptions {
  /** Files of this machine that are copied to `/tmp` of the host. */
  readonly files?: readonly string[];
  /**
   * True: the steps install the command line themselves. Default: the checkout's command line is installed, with
   * settings for a first start.
   */
  readonly installs?: boolean;
  readonly timeoutMs?: number;
}

/** The code blocks below a heading of a task page (`## `), in order. Throws when there is no code block. */
export function codeBlocks(page: string, heading: string, language = "sh"): string[] {
  const text = readFileSync(join(root, "docs/tasks", page), "utf8");
  const section = text.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? "";
  const blocks = [...section.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].filter(
    ([, name]) => name === language,
  );
  if (blocks.length === 0) throw new Error(`${page} has no code in ${language} below "${heading}"`);
  return blocks.map(([, , code = ""]) => code);
}

/** The first code block below the heading. */
export function codeBlock(page: string, heading: string, language?: string): string {
  return codeBlocks(page, heading, language)[0] ?? "";
}

/**
 * Runs the steps one after the other and returns the output of each by its name. When a command fails, throws an
 * error with all output.
 */
export async function runOnPageHost(
  context: TestContext,
  steps: readonly PageStep[],
  options: PageHostOptions = {},
): Promise<(name: string) => string> {
  const directory = mkdtempSync(join(tmpdir(), "solstice-page-"));
  context.after(() => rmSync(directory, { recursive: true }));
  const scripts = [true, false].map((online) => {
    const script = join(directory, online ? "online" : "steps");
    const chosen = steps.filter((step) => (step.online ?? false) === online);
    writeFileSync(script, chosen.map(({ name, commands }) => `echo "== ${name}"\n${commands}\n`).join(""));
    return script;
  });
  const output = await runInCleanRoot({
    script: join(import.meta.dirname, "scripts/page-host.sh"),
    files: [...scripts, join(import.meta.dirname, "scripts/systemctl.sh")],
    words: [options.installs ? "installed" : solstice],
    copies: options.files ?? [],
    showsCheckout: !options.installs,
    timeoutMs: options.timeoutMs ?? 120_000,
  }).catch(({ code, signal, stdout, stderr }: FailedCommand) => {
    const end = `${stdout}${stderr}`.trimEnd().split("\n").slice(-shownLines).join("\n");
    throw new Error(`a command failed (${signal ?? code}); the output ends with:\n${end}`);
  });
  return (name) => {
    const part = output.split(/^== /m).find((text) => text.startsWith(`${name}\n`));
    if (part === undefined) throw new Error(`there was no step ${name}:\n${output}`);
    return part.slice(name.length + 1).trimEnd();
  };
}
