import { once } from "node:events";
import type { ShellEnd, ShellSession } from "../../api/job-shell.ts";
import { errorText } from "../../core/errors.ts";
import type { ShellOrder, WindowSize } from "../../core/job/shell-order.ts";
import type { GuestShell } from "../../hypervisor/hypervisor.ts";
import { ShellMarkers } from "./shell-markers.ts";

/** Maximum time of a shell without a byte in either direction, and in total, in ms. */
export interface ShellLimits {
  readonly idleMs: number;
  readonly totalMs: number;
}

/** {@link ShellLimits} of every shell; tests use shorter ones. */
export const shellLimits: ShellLimits = { idleMs: 30 * 60_000, totalMs: 12 * 3_600_000 };

/**
 * Maximum time until a guest has started the shell, in ms: its runner may be in the middle of a call, and
 * emulated.
 */
const beginMs = 60_000;

const newline = 10;

const endTexts: Readonly<Record<ShellEnd["reason"], string>> = {
  exited: "The shell has ended.",
  taken_over: "Another shell replaced this one: a guest has one shell at a time.",
  hold_over: "The hold of the guest is over; the guest is being removed.",
  idle: `The shell had no input or output for ${shellLimits.idleMs / 60_000} minutes.`,
  too_long: `The shell reached its time limit of ${shellLimits.totalMs / 3_600_000} hours.`,
  lost: "The connection to the guest was lost.",
};

/** The dependencies of a {@link GuestSession}. */
export interface GuestSessionParts {
  readonly jobId: string;
  readonly guest: GuestShell;
  readonly order: ShellOrder;
  /** The time when the hold ends without a release, in ms since the epoch. */
  readonly untilAt: number;
  readonly limits: ShellLimits;
  /** Called when the shell order changes: another window size, or the end of the shell. */
  readonly onOrder: () => void;
  /** Called once. */
  readonly onEnd: () => void;
}

/** One shell: its output goes to one reader, without the marks, within the limits. */
export class GuestSession implements ShellSession {
  readonly jobId: string;
  readonly #parts: GuestSessionParts;
  readonly #timers: NodeJS.Timeout[];
  readonly #idle: NodeJS.Timeout;
  #order: ShellOrder;
  #end: ShellEnd | null = null;
  #isLineBegun = false;
  readonly #begun = Promise.withResolvers<void>();

  constructor(parts: GuestSessionParts) {
    this.#parts = parts;
    this.#order = parts.order;
    this.jobId = parts.jobId;
    this.#idle = setTimeout(() => this.end("idle"), parts.limits.idleMs);
    this.#timers = [
      this.#idle,
      setTimeout(() => this.#begun.resolve(), beginMs),
      setTimeout(() => this.end("too_long"), parts.limits.totalMs),
      setTimeout(() => this.end("hold_over"), Math.max(0, parts.untilAt - Date.now())),
    ];
    // events() reports this error at its end. Without a listener here, Node would end the process.
    parts.guest.stream.on("error", () => {});
  }

  /** The current order, with the current size of the window. */
  get order(): ShellOrder {
    return this.#order;
  }

  async *events(): AsyncGenerator<Uint8Array | ShellEnd> {
    const marks = new ShellMarkers(this.#order.number);
    let trouble = "";
    try {
      for await (const piece of this.#parts.guest.stream as AsyncIterable<Buffer>) {
        this.#idle.refresh();
        const { shown, hasBegun, exitCode } = marks.push(piece);
        if (hasBegun) this.#begun.resolve();
        if (shown.length > 0) yield shown;
        if (exitCode !== null) this.end("exited", exitCode);
        if (this.#end) break;
      }
    } catch (error) {
      trouble = ` ${errorText(error)}`;
    }
    const rest = marks.flush();
    if (rest.length > 0) yield rest;
    this.end("lost");
    const ended = this.#end as ShellEnd | null;
    if (ended) yield ended.reason === "lost" ? { ...ended, message: ended.message + trouble } : ended;
  }

  async write(bytes: Uint8Array): Promise<void> {
    // Input that arrives before the shell has started would be lost.
    await this.#begun.promise;
    if (this.#end || bytes.length === 0) return;
    this.#idle.refresh();
    this.#isLineBegun = bytes.at(-1) !== newline;
    const { stream } = this.#parts.guest;
    if (!stream.write(bytes) && !stream.destroyed) {
      await Promise.race([once(stream, "drain"), once(stream, "close")]);
    }
  }

  async endInput(): Promise<void> {
    await this.#begun.promise;
    if (!this.#end) this.#parts.guest.endInput(this.#isLineBegun);
  }

  resize(size: WindowSize): void {
    if (this.#end) return;
    this.#order = { ...this.#order, ...size };
    this.#parts.onOrder();
    // A failed resize does not end the shell.
    this.#parts.guest.resize(size).catch(() => {});
  }

  close(): void {
    this.end("lost");
  }

  /** Ends the shell; the first reason counts. */
  end(reason: ShellEnd["reason"], exitCode: number | null = null): void {
    if (this.#end) return;
    this.#end = { reason, message: endTexts[reason], exitCode };
    for (const timer of this.#timers) clearTimeout(timer);
    this.#begun.resolve();
    this.#parts.guest.stream.destroy();
    this.#parts.onEnd();
    this.#parts.onOrder();
  }
}
