import { type ErrorCode, SolsticeError } from "../../core/errors.ts";
import { lastLines } from "../../host/command.ts";

/** A failed command of the host, with its output. */
export interface FailedCommand {
  readonly program: string;
  readonly args: readonly string[];
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

interface Translation {
  readonly says: RegExp;
  readonly programs?: readonly string[];
  readonly code: ErrorCode;
  readonly remedy: string;
}

/**
 * The first match counts. These programs exit with 1 for almost every failure: only their texts differ. The texts are those
 * of illumos' zoneadm.c, zoneadmd, zonecfg.c, libzfs and dladm.c.
 */
const translations: readonly Translation[] = [
  {
    says: /only a privileged user|permission denied|insufficient privileges|not permitted|must be root/i,
    code: "hypervisor_unavailable",
    remedy: "Run the orchestrator as root in the global zone.",
  },
  {
    says: /out of space|no space left on device|quota exceeded/i,
    code: "disk_full",
    remedy: "Free space in the pool, or set another one (ZONES_POOL).",
  },
  {
    says: /another zoneadm may have an operation in progress/i,
    code: "hypervisor_failed",
    remedy: "Another zoneadm is at work on this zone. Find it with: pgrep -fl zoneadm",
  },
  {
    says: /brand .*(invalid|unknown|not (found|installed))|(invalid|unknown) brand|unable to determine zone brand/i,
    code: "host_missing_tool",
    remedy: "Install the bhyve brand: pkg install brand/bhyve",
  },
  {
    programs: ["dladm", "ipadm"],
    says: /object not found|invalid link|link not found|no such (interface|link|device)|interface does not exist/i,
    code: "network_missing",
    remedy:
      "See `dladm show-link` and the options ZONES_LINK and ZONES_VNIC; a start of the orchestrator creates missing links.",
  },
  {
    programs: ["zoneadm"],
    says: /(link|network|net|nic|datalink).*(not found|does not exist|unable|could not|in use)|unable to (add|create) .*(link|network)/i,
    code: "network_missing",
    remedy:
      "See `dladm show-vnic`: the guest's link is missing or in use. A start of the orchestrator creates missing links.",
  },
  {
    says: /parent does not exist/i,
    code: "hypervisor_failed",
    remedy: "A dataset of ZONES_POOL was removed; a start of the orchestrator creates it again.",
  },
  {
    says: /dataset already exists|zone already exists|already (exists|configured)/i,
    code: "already_exists",
    remedy: "See `zoneadm list -cv` and `zfs list`, and remove the existing object if it is not needed.",
  },
  {
    programs: ["qemu-img"],
    says: /./,
    code: "image_unavailable",
    remedy: "See `qemu-img info` of the image.",
  },
  {
    programs: ["dd"],
    says: /cannot open|cannot read|failed to open|no such file|i\/o error/i,
    code: "image_unavailable",
    remedy: "The prepared image, or the pool, was removed or damaged: see `zpool status`.",
  },
  {
    says: /not enough space|cannot allocate memory|resource temporarily unavailable/i,
    code: "hypervisor_failed",
    remedy: "The host has too little free memory for this guest: lower MAX_CONCURRENCY or the size.",
  },
];

const general: Omit<Translation, "says"> = {
  code: "hypervisor_failed",
  remedy: "See `zoneadm list -cv`, <zonepath>/root/tmp/init.log and <zonepath>/log/zone.log.",
};

/** Largest number of characters of a failed command's output in its error. */
const quotedChars = 1000;

/** Returns the error for a failed command, with its output and the remedy. */
export function toHostError({ program, args, exitCode, stdout, stderr }: FailedCommand): SolsticeError {
  const said = lastLines(stderr.trim() === "" ? stdout : stderr, quotedChars);
  const { code, remedy } =
    translations.find(({ says, programs }) => says.test(said) && (programs?.includes(program) ?? true)) ??
    general;
  // Long arguments are left out: a zone's whole configuration is one argument, and does not help the reader.
  const what = [program, ...args.filter((arg) => arg.length <= 100)].join(" ");
  const message = `\`${what}\` failed with exit code ${exitCode}${said === "" ? "." : `: ${said}`}`;
  return new SolsticeError(code, message, { remedy });
}

/** The error for a missing command of illumos. */
export function notIllumos(program: string, cause: unknown): SolsticeError {
  return new SolsticeError("hypervisor_unavailable", `This host has no ${program}.`, {
    remedy:
      "Guests in zones need an illumos host (OmniOS) with the bhyve brand; on Linux use HYPERVISOR=libvirt.",
    cause,
  });
}

/** True when the command found another one at work on the same zone or dataset: a retry will succeed soon. */
export function isBusy({ stderr, stdout }: Pick<FailedCommand, "stderr" | "stdout">): boolean {
  return /another zoneadm may have an operation in progress|dataset is busy|zonecfg .*lock/i.test(
    stderr + stdout,
  );
}

/** True when the command did not find its object. */
export function isAbsent({ stderr, stdout }: Pick<FailedCommand, "stderr" | "stdout">): boolean {
  return /no such zone|dataset does not exist|object not found|could not find any snapshots|invalid link name/i.test(
    stderr + stdout,
  );
}

/** True when the zone was in another state than the command requires: the state changed since the observation. */
export function isWrongState({ stderr, stdout }: Pick<FailedCommand, "stderr" | "stdout">): boolean {
  return /is invalid for (zones in state|running zones)|which is in state|already in state|state is invalid|already (halted|booted)|not running|must be/i.test(
    stderr + stdout,
  );
}
