import { join } from "node:path";
import { runCommand } from "../../src/host/command.ts";
import { openStandIn } from "../illumos/stand-in.ts";
import type { ContractHarness, ContractOptions } from "./contract.ts";
import { tinyImage } from "./libvirt-harness.ts";
import { createRecorder } from "./transcript/record.ts";
import { createZonesByCommands, type ZonesByCommands, zonesByCommandsCannot } from "./zones-by-commands.ts";

/** What {@link zonesSuite} takes of the arguments. */
export interface ZonesSuiteOptions {
  readonly transcript: string | null;
  readonly image: string | null;
  readonly pool: string;
}

/** The suite of zones: with the commands of this host on illumos, and on the stand-in elsewhere. */
export function zonesSuite({ transcript, image, pool }: ZonesSuiteOptions): Record<string, ContractOptions> {
  const isIllumos = process.platform === "sunos";
  if (isIllumos && image === null)
    throw new Error(
      "The tiny guest is built on Debian (sh images/build.sh tiny): copy it here as a raw image, and name it with --image.",
    );
  const recorder = transcript === null ? null : createRecorder(transcript);
  const options = { pool, run: recorder?.recording(runCommand) ?? runCommand };
  return {
    [isIllumos ? "zones" : "zones, on the stand-in"]: {
      setUp: () =>
        isIllumos ? createZonesByCommands({ ...options, image: image ?? "" }) : onStandIn(options, image),
      onTest: (name) => recorder?.begin(name),
      cannotHappen: zonesByCommandsCannot,
    },
  };
}

async function onStandIn(
  options: Pick<ZonesByCommands, "pool" | "run">,
  image: string | null,
): Promise<ContractHarness> {
  const standIn = await openStandIn();
  Object.assign(process.env, standIn.environment);
  return createZonesByCommands({
    ...options,
    image: image ?? (await rawTinyImage(standIn.directory)),
    programs: standIn.environment.PATH.split(":")[0] ?? "",
    async crash(zone) {
      const pid = standIn.guestPid(zone);
      if (pid !== null) process.kill(pid, "SIGKILL");
    },
    closeHost: () => standIn.close(),
  });
}

async function rawTinyImage(directory: string): Promise<string> {
  const raw = join(directory, "tiny.raw");
  await runCommand("qemu-img", ["convert", "-f", "qcow2", "-O", "raw", await tinyImage(), raw]);
  return raw;
}
