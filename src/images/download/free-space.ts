import { freeBytes } from "../../host/files/disk-space.ts";
import { diskFull } from "../errors.ts";

/** Throws `disk_full` unless `path` has room for `wantedBytes` and the floor. */
export async function requireFreeSpace(path: string, wantedBytes: number, floorBytes: number): Promise<void> {
  const free = await freeBytes(path);
  if (free < wantedBytes + floorBytes) throw diskFull(path, wantedBytes + floorBytes, free);
}
