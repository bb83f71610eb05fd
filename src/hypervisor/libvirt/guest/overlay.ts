import { chmod, rename } from "node:fs/promises";
import { SolsticeError } from "../../../core/errors.ts";
import type { RunCommand } from "../../../host/command.ts";
import type { GuestSpec } from "../../hypervisor.ts";

const BYTES_PER_GIB = 1024 ** 3;

/**
 * Creates the guest's disk: a qcow2 file over the shared image, with the requested size but never smaller than the
 * image. The file gets its final name when it is complete.
 */
export async function createOverlay(run: RunCommand, path: string, spec: GuestSpec): Promise<void> {
  const { imagePath, imageFormat } = spec;
  const size = Math.max(await virtualSize(run, spec), spec.size.diskGb * BYTES_PER_GIB);
  const partial = `${path}.partial`;
  // The backing format is always given: QEMU must never guess, because a guest could write another format's header.
  const backing = ["-b", imagePath, "-F", imageFormat];
  await run("qemu-img", ["create", "-q", "-f", "qcow2", ...backing, partial, String(size)], {
    errorCode: "hypervisor_failed",
  });
  // The overlay contains all data of the guest. As for the seed, libvirt makes QEMU's user its owner while the guest
  // runs.
  await chmod(partial, 0o600);
  await rename(partial, path);
}

/** Returns the size in bytes of the disk that the guest gets. */
async function virtualSize(run: RunCommand, { imagePath, imageFormat }: GuestSpec): Promise<number> {
  // -U: other guests have the image open.
  const args = ["info", "-U", "--output=json", "-f", imageFormat, imagePath];
  const { stdout } = await run("qemu-img", args, {
    errorCode: "image_unavailable",
    remedy: "Check `solstice images`; `solstice images pull NAME` prepares an image again.",
  });
  const size: unknown = JSON.parse(stdout)["virtual-size"];
  if (typeof size === "number" && Number.isSafeInteger(size) && size >= 0) return size;
  throw new SolsticeError("image_unavailable", `qemu-img reports no size of ${imagePath}.`);
}
