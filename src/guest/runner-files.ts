import { readFileSync } from "node:fs";
import type { GuestFile } from "../core/job/guest.ts";
import { withoutTrailing } from "../core/text/text-ends.ts";
import { shellQuote } from "./seed/shell-quote.ts";

/** Where the runner lives in a guest: a file system in memory on Linux, gone with the guest everywhere. */
export const runnerDirectory = "/run/solstice";

/** The runner's scripts, as they lie in `src/guest/runner`; `boot.sh` starts `runner.sh`, which needs the others. */
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

/** How a runner reaches its orchestrator. */
export interface RunnerAccess {
  /** Base URL of the runner endpoint, without a path. */
  readonly runnerUrl: string;
  /** One-time token of this attempt; a secret. */
  readonly bootstrapToken: string;
}

/** Read when they are first needed. They are the same for every guest, as objects too. */
let scriptFiles: readonly GuestFile[] | null = null;

/** Every file that makes a guest run its job, readable only for its root. */
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
