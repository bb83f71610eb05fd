import { access } from "node:fs/promises";

/** True when this process can reach the path. A path without access rights, or a broken link, counts as missing. */
export async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
