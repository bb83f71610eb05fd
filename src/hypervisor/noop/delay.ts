import { emptyGuestInventory } from "../../core/audit/inventories.ts";
import { errorText, SolsticeError } from "../../core/errors.ts";
import { guestName } from "../../core/job/job.ts";
import type { Log } from "../../core/log.ts";
import type { GuestPower, GuestSpec, Hypervisor } from "../hypervisor.ts";
import { runBuiltInRunner } from "./built-in-runner.ts";

/** Options of {@link createDelayHypervisor}. */
export interface DelayOptions {
  readonly delayMs: number;
  readonly log: Log;
}

interface PretendedGuest {
  readonly spec: GuestSpec;
  console: string;
  /** Powers the guest off; null without power. */
  powerSwitch: AbortController | null;
}

/** Creates a backend whose guests exist in memory only: each simulates a runner. They end with the process. */
export function createDelayHypervisor(options: DelayOptions): Hypervisor {
  const guests = new Map<string, PretendedGuest>();
  const listeners = new Set<(jobId: string | null) => void>();
  const report = (jobId: string) => {
    for (const listener of listeners) listener(jobId);
  };
  const cutPower = (jobId: string) => {
    const guest = guests.get(jobId);
    if (!guest?.powerSwitch) return;
    guest.powerSwitch.abort();
    guest.powerSwitch = null;
    report(jobId);
  };
  return {
    backend: "noop",
    async connect() {},
    async prepare() {},
    async ensureFirewall() {},
    async removeFirewall() {},
    runnerHost: async () => "127.0.0.1",
    async create(spec) {
      if (existsAlready(guests.get(spec.jobId), spec)) return;
      cutPower(spec.jobId);
      guests.set(spec.jobId, { spec, console: "", powerSwitch: null });
    },
    async start(jobId) {
      const guest = guests.get(jobId);
      if (!guest) {
        throw new SolsticeError("hypervisor_failed", `There is no guest ${guestName(jobId)} to start.`);
      }
      if (guest.powerSwitch) return;
      void run(guest, options, () => report(jobId));
      report(jobId);
    },
    power: async (jobId) => powerOf(guests.get(jobId)),
    requestShutdown: async (jobId) => cutPower(jobId),
    destroy: async (jobId) => cutPower(jobId),
    async remove(jobId) {
      cutPower(jobId);
      guests.delete(jobId);
    },
    listInventory: async () => ({
      ...emptyGuestInventory,
      domains: [...guests].map(([jobId, guest]) => ({
        name: guestName(jobId),
        jobId,
        attempt: guest.spec.attempt,
        power: powerOf(guest),
        needs: [],
      })),
    }),
    readConsole: async (jobId, offset, maxBytes) =>
      Buffer.from(guests.get(jobId)?.console ?? "").subarray(offset, offset + maxBytes),
    async openShell(jobId) {
      const text = `${guestName(jobId)} cannot be entered: its runner is simulated, and there is no guest.`;
      throw new SolsticeError("hypervisor_failed", text, {
        remedy: "Use libvirt, or --noop-runner process to try shells without guests.",
      });
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async close() {
      listeners.clear();
      for (const jobId of guests.keys()) cutPower(jobId);
      guests.clear();
    },
  };
}

function existsAlready(guest: PretendedGuest | undefined, spec: GuestSpec): boolean {
  const attempt = guest?.spec.attempt ?? 0;
  if (attempt <= spec.attempt) return attempt === spec.attempt;
  const text = `A guest ${guestName(spec.jobId)} of attempt ${attempt} exists; attempt ${spec.attempt} is outdated.`;
  throw new SolsticeError("already_exists", text);
}

function powerOf(guest: PretendedGuest | undefined): GuestPower {
  if (!guest) return "absent";
  return guest.powerSwitch ? "running" : "stopped";
}

/** One power cycle of a guest, from power-on to power-off. Never rejects. */
async function run(guest: PretendedGuest, options: DelayOptions, ended: () => void): Promise<void> {
  const powerSwitch = new AbortController();
  guest.powerSwitch = powerSwitch;
  guest.console = "noop: the guest is up\n";
  const { runner, jobId } = guest.spec;
  try {
    await runBuiltInRunner({ runner, delayMs: options.delayMs, signal: powerSwitch.signal });
    guest.console += "noop: the stand-in has finished, powering off\n";
  } catch (error) {
    if (powerSwitch.signal.aborted) return;
    guest.console += `noop: the stand-in failed: ${errorText(error)}\n`;
    options.log.warn({ guest: guestName(jobId), problem: errorText(error) }, "stand-in runner failed");
  }
  if (guest.powerSwitch !== powerSwitch) return;
  guest.powerSwitch = null;
  ended();
}
