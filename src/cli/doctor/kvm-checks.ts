import { access, readFile } from "node:fs/promises";
import { SolsticeError } from "../../core/errors.ts";
import { runCommand } from "../../host/command.ts";
import { probeKvm } from "../../host/kvm/kvm.ts";
import { type Check, type Finding, fail, ok, warn } from "./check.ts";

/** Checks hardware virtualization for guests; without it they run, but many times slower. */
export function kvmChecks(virtType: "auto" | "kvm" | "qemu"): Check[] {
  return [
    { name: "KVM", run: () => checkKvm(virtType) },
    { name: "KVM for guests", run: checkQemuUserMayOpenKvm },
  ];
}

async function checkKvm(virtType: "auto" | "kvm" | "qemu"): Promise<Finding> {
  const { works, detail } = await probeKvm();
  if (works) return ok(detail);
  if (virtType === "kvm") return fail(detail, "Set LIBVIRT_VIRT_TYPE=auto, or use a host with working KVM.");
  if (virtType === "qemu") return ok(`Not used, because LIBVIRT_VIRT_TYPE is qemu. ${detail}`);
  return warn(
    `Guests will run under software emulation, many times slower. ${detail}`,
    "Enable virtualization in the firmware, or nested virtualization if this host is itself a guest.",
  );
}

/** Checks QEMU's access to /dev/kvm. Without it, libvirt 9.0 probes QEMU's abilities about 12 times for each define: 10 s instead of 28 ms. */
async function checkQemuUserMayOpenKvm(): Promise<Finding> {
  try {
    await access("/dev/kvm");
  } catch {
    return ok("This host has no /dev/kvm.");
  }
  const user = await qemuUser();
  if (process.getuid?.() !== 0)
    return warn(`Only root can check whether ${user} may open /dev/kvm.`, "sudo solstice doctor");
  const mayOpen = await succeedsAs(user, ["test", "-r", "/dev/kvm", "-a", "-w", "/dev/kvm"]);
  if (mayOpen) return ok(`${user} may open /dev/kvm.`);
  return fail(
    `${user} may not open /dev/kvm, so every define of a guest takes many seconds.`,
    "chgrp kvm /dev/kvm && chmod 0660 /dev/kvm",
  );
}

/** The user that libvirt runs guests as: from qemu.conf, else Debian's default. */
export async function qemuUser(): Promise<string> {
  const text = await readFile("/etc/libvirt/qemu.conf", "utf8").catch(() => "");
  return /^\s*user\s*=\s*"\+?([^"]+)"/m.exec(text)?.[1] ?? "libvirt-qemu";
}

/** True when `command` succeeds as `user`, with that user's groups. Needs root. */
export async function succeedsAs(user: string, command: readonly string[]): Promise<boolean> {
  const { stdout } = await runCommand("id", ["-g", "--", user], { acceptExitCodes: [0, 1] });
  if (!stdout.trim()) {
    throw new SolsticeError("host_missing_tool", `The guests' user ${user} does not exist.`, {
      remedy: "apt-get install -y libvirt-daemon-system",
    });
  }
  const identity = [`--reuid=${user}`, `--regid=${stdout.trim()}`, "--init-groups"];
  const { exitCode } = await runCommand("setpriv", [...identity, "--", ...command], {
    acceptExitCodes: [0, 1],
  });
  return exitCode === 0;
}
