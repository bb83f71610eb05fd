import type { Verdict, VerdictReason } from "./verdict.ts";

/** What a guest's kernel said on its console before things went wrong. */
export interface ConsoleTrouble {
  /** Why the kernel gave up; null where it did not. */
  readonly panic: string | null;
  /** The last process that the kernel killed for want of memory, such as `process 812 (cc1plus)`; null for none. */
  readonly memoryKill: string | null;
}

/** How much of the kernel's own words a verdict repeats, in characters. */
const quotedChars = 160;

/** A kernel's last words. A guest can write the same by itself, so they explain a verdict and never make one better. */
const panics = [
  // Linux
  /Kernel panic - not syncing: (.+)/,
  // illumos
  /panic\[cpu\d+\](?:\/thread=[0-9a-fx]+)?: (.+)/,
  // FreeBSD, OpenBSD and NetBSD
  /^panic: (.+)/,
] as const;

/**
 * Repetitions have bounds, so that a guest's line costs time linear in its length: without them each beginning of a pattern in it
 * would read on to its end. A kernel's names of processes have at most 19 characters.
 */
const memoryKills = [
  // Linux, since 5.2 and before; also of a control group
  /[Oo]ut of memory:? Kill(?:ed)? process (\d{1,10}) \(([^)]{0,64})\)/,
  // FreeBSD
  /pid (\d{1,10}) \(([^)]{0,64})\),.{0,64} was killed: (?:out of swap|failed to reclaim memory|a thread waited too long)/,
] as const;

/** How Linux summarises a kill for want of memory, and the end of that summary: the process. */
const summary = "oom-kill:constraint=";
const summarised = /,task=([^,]{0,64}),pid=(\d{1,10})/;

/** Reads panics and kills for want of memory of Linux, illumos and the BSDs from a console's text. */
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
  // The time that a kernel puts before its messages.
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

/** Reasons of ours that a panic explains: the guest fell silent or went away because of it. */
const explained: ReadonlySet<VerdictReason> = new Set<VerdictReason>([
  "boot_timeout",
  "guest_stopped",
  "guest_crashed",
  "guest_lost",
  "runner_silent",
  "runner_lost",
]);

/**
 * The verdict, with what the console knows about it. A guest that fell silent, or went away, in a panic has crashed; any
 * other verdict keeps its reason, and its sentence says what happened.
 */
export function explainWithConsole(ended: Verdict, { panic, memoryKill }: ConsoleTrouble): Verdict {
  const memory = memoryKill === null ? "" : ` The guest ran out of memory: its kernel killed ${memoryKill}.`;
  if (panic === null) return { ...ended, message: ended.message + memory };
  const sentence = `The guest's kernel panicked: ${panic}${/[.!?]$/.test(panic) ? "" : "."}`;
  if (!explained.has(ended.reason)) return { ...ended, message: `${ended.message} ${sentence}${memory}` };
  return { ...ended, reason: "guest_crashed", message: `${sentence}${memory}` };
}
