import { access, constants, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { errorText } from "../../core/errors.ts";
import { runCommand } from "../command.ts";
import { hasErrorCode } from "../error-code.ts";
import { probeDisk, probeSuccessExitCode } from "./kvm-boot-sector.ts";

/** Result of the KVM probe on this host. */
export interface KvmProbe {
  readonly works: boolean;
  /** One sentence for a person. */
  readonly detail: string;
}

/** Options of {@link probeKvm}. */
export interface KvmProbeOptions {
  readonly deadlineSeconds?: number;
  readonly signal?: AbortSignal;
  /** `tcg` runs the same guest under emulation, to test the probe itself. */
  readonly accelerator?: "kvm" | "tcg";
}

const defaultDeadlineSeconds = 10;

/** Prefix of the probe's folder in the system's temporary directory. */
export const probeFolderPrefix = "solstice-kvm-";

/** Name of the only file in that folder. */
export const probeFileName = "disk";

/**
 * Runs a guest of 512 bytes under KVM, with the machine and CPU type of real guests, and checks that the guest runs to
 * its end. A `/dev/kvm` that opens proves nothing: on some nested hosts KVM runs the BIOS and even reaches 64-bit mode,
 * 15 times slower than emulation, but QEMU aborts over a register of `-cpu host`, and without that CPU type a Linux
 * kernel's boot loader hangs at its first `iret` ("KVM internal error … emulation failure"). The guest (`kvm-probe.S`)
 * therefore sleeps until timer interrupts wake it, enters 64-bit mode and returns from an interrupt. A working KVM
 * needs a fraction of a second for this.
 */
export async function probeKvm(options: KvmProbeOptions = {}): Promise<KvmProbe> {
  const accelerator = options.accelerator ?? "kvm";
  if (accelerator === "kvm") {
    const obstacle = await deviceObstacle();
    if (obstacle) return { works: false, detail: obstacle };
  }
  const folder = await mkdtemp(join(tmpdir(), probeFolderPrefix));
  try {
    const disk = join(folder, probeFileName);
    await writeFile(disk, probeDisk());
    const result = await runCommand("qemu-system-x86_64", guestArguments(accelerator, disk), {
      deadlineSeconds: options.deadlineSeconds ?? defaultDeadlineSeconds,
      signal: options.signal,
      acceptExitCodes: [probeSuccessExitCode],
    });
    return { works: result.exitCode === probeSuccessExitCode, detail: "A test guest ran to its end." };
  } catch (error) {
    options.signal?.throwIfAborted();
    return { works: false, detail: `A test guest did not run: ${errorText(error)}` };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function deviceObstacle(): Promise<string | null> {
  try {
    await access("/dev/kvm", constants.R_OK | constants.W_OK);
    return null;
  } catch (error) {
    const isMissing = hasErrorCode(error, "ENOENT");
    return isMissing ? "There is no /dev/kvm." : "This user may not open /dev/kvm.";
  }
}

function guestArguments(accelerator: "kvm" | "tcg", disk: string): string[] {
  const quiet = ["-display", "none", "-nodefaults", "-no-user-config", "-no-reboot"];
  return [
    ...["-accel", accelerator, "-machine", "q35", "-cpu", accelerator === "kvm" ? "host" : "max", "-m", "64"],
    ...quiet,
    ...["-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"],
    ...["-drive", `file=${disk},format=raw,if=virtio`],
  ];
}
