/**
 * Machine code assembled from `kvm-probe.S`, without the padding. A test assembles the source again where an assembler
 * is installed.
 */
const code = Buffer.from(
  "6gV8AAAxwI7YjsCO0LwAfPu5AwCLHmwE9DkebAR0+eLz+r8AEGYxwLkAFPxm86tmxwYAEAMgAABmxwYAIAMwAABmxwYAMIMAAABmxwYwUKZ8CABmxwY0UACOAABmuAAQAAAPItgPIOBmg8ggDyLgZrmAAADADzJmDQABAAAPMA8BFsB8DwEexnwPIMBmDQEAAIAPIsDqmnwIALwAfAAAMcDM5vTr/rghAAAASM8PHwAAAAAAAAAAAAAAAAAAmiAADwCwfAAA/w8AUA==",
  "base64",
);

/** SeaBIOS does not read smaller disks. */
const diskBytes = 1024 * 1024;

/** QEMU's exit code when the probe's guest ran to its end: (0x21 << 1) | 1. */
export const probeSuccessExitCode = 67;

/** Returns the disk of the KVM probe, which has only a boot sector. */
export function probeDisk(): Buffer {
  const disk = Buffer.alloc(diskBytes);
  code.copy(disk);
  disk.writeUInt16LE(0xaa55, 510);
  return disk;
}
