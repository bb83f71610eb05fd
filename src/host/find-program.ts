import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { delimiter, join } from "node:path";

/**
 * Returns the path of `program` in `searchPath` (`$PATH`), or null. Meant for programs without a harmless option such
 * as `--version`.
 */
export async function findProgram(program: string, searchPath: string): Promise<string | null> {
  for (const directory of searchPath.split(delimiter)) {
    const path = join(directory || ".", program);
    if (await isExecutable(path)) return path;
  }
  return null;
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}
