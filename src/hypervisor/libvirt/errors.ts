import { SolsticeError } from "../../core/errors.ts";
import { isLibvirtError, LibvirtConnectionError, LibvirtErrorCode } from "../../libvirt/index.ts";

type Cause = { readonly code: number; readonly text: string };

interface Translation {
  readonly matches: (cause: Cause) => boolean;
  readonly code: "hypervisor_unavailable" | "hypervisor_failed" | "network_missing" | "disk_full";
  readonly remedy: string;
}

const refusedCodes: readonly number[] = [
  LibvirtErrorCode.OPERATION_DENIED,
  LibvirtErrorCode.AUTH_FAILED,
  LibvirtErrorCode.AUTH_CANCELLED,
  LibvirtErrorCode.ACCESS_DENIED,
  LibvirtErrorCode.AUTH_UNAVAILABLE,
];

/**
 * The first match counts. A failure with a libvirt code of its own is matched by the code; failures that QEMU or the system
 * reported share the codes `INTERNAL_ERROR` or `SYSTEM_ERROR`, and only their texts differ. The texts come from libvirt 9.0
 * and QEMU 7.2.
 */
const translations: readonly Translation[] = [
  {
    matches: ({ code, text }) =>
      code === LibvirtErrorCode.NO_NETWORK || /network '.*' is not active/i.test(text),
    code: "network_missing",
    remedy: "See `virsh net-list --all`; start it with `virsh net-start NAME`.",
  },
  {
    matches: ({ text }) => /No space left on device|Disk quota exceeded/i.test(text),
    code: "disk_full",
    remedy: "Free space, or set another data directory.",
  },
  {
    matches: ({ code }) => refusedCodes.includes(code),
    code: "hypervisor_unavailable",
    remedy: "Run as root, or add the user to the group libvirt.",
  },
  {
    matches: ({ text }) => /Failed to create PTY/i.test(text),
    code: "hypervisor_failed",
    remedy: "Every user must be able to open /dev/ptmx: mount -o remount,ptmxmode=666 /dev/pts.",
  },
  {
    matches: ({ text }) => /Permission denied/i.test(text),
    code: "hypervisor_failed",
    remedy:
      "The user that QEMU runs as must be able to reach the data directory and the image: chmod o+x each parent directory.",
  },
  {
    matches: ({ text }) => /No such file or directory/i.test(text),
    code: "hypervisor_failed",
    remedy: "A file of the guest was removed; the next attempt creates it again.",
  },
  {
    matches: ({ text }) => /Cannot allocate memory/i.test(text),
    code: "hypervisor_failed",
    remedy: "The host has too little free memory for this guest: lower MAX_CONCURRENCY or the size.",
  },
  {
    // If KVM opens but does not work, QEMU aborts with an assertion in its kvm.c.
    matches: ({ text }) => /kvm/i.test(text),
    code: "hypervisor_failed",
    remedy: "KVM does not work here: check /dev/kvm, or set LIBVIRT_VIRT_TYPE=qemu.",
  },
  {
    matches: ({ text }) => /firmware/i.test(text),
    code: "hypervisor_failed",
    remedy: "Install UEFI firmware for QEMU (Debian: apt-get install ovmf).",
  },
  {
    matches: () => true,
    code: "hypervisor_failed",
    remedy: "See libvirt's log, and /var/log/libvirt/qemu for QEMU's log.",
  },
];

/** Converts an error of libvirt or its connection into a `SolsticeError`; `doing` is the start of the sentence. */
export function toSolsticeError(error: unknown, doing: string): SolsticeError {
  if (error instanceof SolsticeError) return error;
  if (error instanceof LibvirtConnectionError) {
    return new SolsticeError("hypervisor_unavailable", `${doing}: ${error.message}`, {
      // Seen when /dev/kvm had another group: libvirtd then examines QEMU again for each call.
      remedy:
        error.reason === "timeout"
          ? "libvirtd is busy or hangs: see its log, and that /dev/kvm belongs to group kvm (scripts/setup-host.sh repairs that)."
          : "Check that libvirtd runs (systemctl start libvirtd) and that this user may use it.",
      cause: error,
    });
  }
  const cause = { code: isLibvirtError(error) ? error.code : -1, text: textOf(error) };
  const translation = translations.find(({ matches }) => matches(cause));
  const message = `${doing}: ${cause.text}${/[.!?]$/.test(cause.text) ? "" : "."}`;
  return new SolsticeError(translation?.code ?? "hypervisor_failed", message, {
    ...(translation ? { remedy: translation.remedy } : {}),
    cause: error,
  });
}

function textOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).trim();
}
