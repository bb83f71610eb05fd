import { SolsticeError } from "../../../core/errors.ts";
import { guestName } from "../../../core/job/job.ts";
import type { GuestShell } from "../../hypervisor.ts";
import { findDomain, type LibvirtHost } from "../host.ts";

/** libvirt's name of the second serial port, which guests with shells have. */
const SHELL_DEVICE = "serial1";

/** What a terminal takes for the end of the input, at the beginning of a line. */
const END_OF_INPUT = 4;

/**
 * Opens a guest's line for shells. Another stream on it, such as one of an orchestrator that was killed, is ended. What is
 * not read in time waits in the guest's terminal, which holds about 64 KiB.
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
      // In the middle of a line the first one only hands over what is there.
      stream.write(Buffer.from(isLineBegun ? [END_OF_INPUT, END_OF_INPUT] : [END_OF_INPUT]));
    },
    async resize() {},
  };
}
