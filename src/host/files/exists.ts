import { access } from "node:fs/promises";

/** Whether this process finds something under a path. What it may not look at, and a link that leads nowhere, count as missing. */
export async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
