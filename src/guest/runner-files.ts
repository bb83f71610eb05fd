import { readFileSync } from "node:fs";
import type { GuestFile } from "../core/job/guest.ts";
import { withoutTrailing } from "../core/text/text-ends.ts";
import { shellQuote } from "./seed/shell-quote.ts";

/** Directory of the runner in a guest: a memory file system on Linux; everywhere it ends with the guest. */
export const runnerDirectory = "/run/solstice";

/** The runner's scripts, from `src/guest/runner`; `boot.sh` starts `runner.sh`, which needs the others. */
const scripts = [
  "archive.sh",
  "artifacts.sh",
  "boot.sh",
  "cache.sh",
  "calls.sh",
  "checkout.sh",
  "download.sh",
  "hold.sh",
  "list-files.sh",
  "login.sh",
  "runner.sh",
  "sender.sh",
  "state.sh",
  "steps.sh",
  "tools.sh",
  "transfer.sh",
];

/** URL and token with which a runner connects to its orchestrator. */
export interface RunnerAccess {
  /** Base URL of the runner endpoint, without a path. */
  readonly runnerUrl: string;
  /** One-time token of this attempt; a secret. */
  readonly bootstrapToken: string;
}

/** Read at the first use. The files, also as objects, are the same for every guest. */
let scriptFiles: readonly GuestFile[] | null = null;

/** Returns the files that run the job in a guest, readable only for root. */
export function runnerFiles(access: RunnerAccess): GuestFile[] {
  scriptFiles ??= scripts.map((name) => ({
    path: `${runnerDirectory}/${name}`,
    content: readFileSync(new URL(`runner/${name}`, import.meta.url), "utf8"),
    permissions: "0700",
  }));
  return [
    ...scriptFiles,
    { path: `${runnerDirectory}/runner.conf`, content: conf(access), permissions: "0600" },
  ];
}

function conf({ runnerUrl, bootstrapToken }: RunnerAccess): string {
  const url = withoutTrailing(runnerUrl, "/");
  return `RUNNER_URL=${shellQuote(url)}\nBOOTSTRAP_TOKEN=${shellQuote(bootstrapToken)}\n`;
}
