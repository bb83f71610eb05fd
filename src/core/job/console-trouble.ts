import type { Verdict, VerdictReason } from "./verdict.ts";

/** Problems that a guest's kernel reported on its console. */
export interface ConsoleTrouble {
  /** The message of a kernel panic; null without a panic. */
  readonly panic: string | null;
  /** The last process that the kernel killed because memory ran out, such as `process 812 (cc1plus)`; null for none. */
  readonly memoryKill: string | null;
}

/** Number of characters of the kernel's message that a verdict quotes. */
const quotedChars = 160;

/**
 * Kernels' panic messages. A guest can write the same text itself, so a panic explains a verdict and never improves it.
 */
const panics = [
  // Linux
  /Kernel panic - not syncing: (.+)/,
  // illumos
  /panic\[cpu\d+\](?:\/thread=[0-9a-fx]+)?: (.+)/,
  // FreeBSD, OpenBSD and NetBSD
  /^panic: (.+)/,
] as const;

/**
 * All repetitions have limits, so that matching a guest's line takes time linear in its length: without limits each
 * possible start of a match would read to the end of the line. A kernel's process names have at most 19 characters.
 */
const memoryKills = [
  // Linux, since 5.2 and before; also of a control group
  /[Oo]ut of memory:? Kill(?:ed)? process (\d{1,10}) \(([^)]{0,64})\)/,
  // FreeBSD
  /pid (\d{1,10}) \(([^)]{0,64})\),.{0,64} was killed: (?:out of swap|failed to reclaim memory|a thread waited too long)/,
] as const;

/** The beginning of Linux's summary of an out-of-memory kill, and its end, which names the process. */
const summary = "oom-kill:constraint=";
const summarised = /,task=([^,]{0,64}),pid=(\d{1,10})/;

/** Finds panics and out-of-memory kills of Linux, illumos and the BSDs in a console's text. */
export function findTrouble(text: string): ConsoleTrouble {
  let panic: string | null = null;
  let memoryKill: string | null = null;
  for (const line of text.split(/[\r\n]+/)) {
    // The first panic is the cause; what comes after it may be about the crash dump.
    panic ??= firstGroup(panics, line);
    memoryKill = killedProcess(line) ?? memoryKill;
  }
  return { panic, memoryKill };
}

function firstGroup(patterns: readonly RegExp[], line: string): string | null {
  // The timestamp that a kernel puts before its messages.
  const message = line.replace(/^\s*\[\s*\d{1,10}\.\d{1,10}\]\s*/, "");
  for (const pattern of patterns) {
    const found = pattern.exec(message)?.[1];
    if (found !== undefined) return quote(found);
  }
  return null;
}

function killedProcess(line: string): string | null {
  for (const pattern of memoryKills) {
    const [, pid = "", name = ""] = pattern.exec(line) ?? [];
    if (pid !== "") return `process ${pid} (${quote(name)})`;
  }
  const at = line.indexOf(summary);
  const [, name = "", pid = ""] = at < 0 ? [] : (summarised.exec(line.slice(at)) ?? []);
  return pid === "" ? null : `process ${pid} (${quote(name)})`;
}

function quote(text: string): string {
  return text
    .slice(0, 2 * quotedChars)
    .replace(/\p{Cc}/gu, "")
    .trim()
    .slice(0, quotedChars);
}

/** Verdict reasons that a panic explains: the guest stopped responding or disappeared because of it. */
const explained: ReadonlySet<VerdictReason> = new Set<VerdictReason>([
  "boot_timeout",
  "guest_stopped",
  "guest_crashed",
  "guest_lost",
  "runner_silent",
  "runner_lost",
]);

/**
 * Adds the console's findings to the verdict. A guest that stopped responding or disappeared in a panic has crashed;
 * any other verdict keeps its reason, and its message gets the panic as one more sentence.
 */
export function explainWithConsole(ended: Verdict, { panic, memoryKill }: ConsoleTrouble): Verdict {
  const memory = memoryKill === null ? "" : ` The guest ran out of memory: its kernel killed ${memoryKill}.`;
  if (panic === null) return { ...ended, message: ended.message + memory };
  const sentence = `The guest's kernel panicked: ${panic}${/[.!?]$/.test(panic) ? "" : "."}`;
  if (!explained.has(ended.reason)) return { ...ended, message: `${ended.message} ${sentence}${memory}` };
  return { ...ended, reason: "guest_crashed", message: `${sentence}${memory}` };
}
