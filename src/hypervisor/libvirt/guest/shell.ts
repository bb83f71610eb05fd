import { SolsticeError } from "../../../core/errors.ts";
import { guestName } from "../../../core/job/job.ts";
import type { GuestShell } from "../../hypervisor.ts";
import { findDomain, type LibvirtHost } from "../host.ts";

/** libvirt's name of the second serial port, in guests with a line for shells. */
const SHELL_DEVICE = "serial1";

/** Control character that a terminal treats as end of input, at the beginning of a line. */
const END_OF_INPUT = 4;

/**
 * Opens a guest's line for shells. Another stream on it, such as that of a killed orchestrator, is ended. Unread output
 * waits in the guest's terminal, which buffers about 64 KiB.
 */
export async function openShell(host: LibvirtHost, jobId: string): Promise<GuestShell> {
  const found = await findDomain(host, jobId);
  if (found.kind !== "ours") {
    throw new SolsticeError("hypervisor_failed", `There is no guest ${guestName(jobId)} to enter.`);
  }
  const stream = await host.client.openConsole(found.domain, { device: SHELL_DEVICE, force: true });
  return {
    stream,
    endInput(isLineBegun) {
      // In the middle of a line the first one only passes on the begun line.
      stream.write(Buffer.from(isLineBegun ? [END_OF_INPUT, END_OF_INPUT] : [END_OF_INPUT]));
    },
    async resize() {},
  };
}
