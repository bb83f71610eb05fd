import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";
import type { Environment } from "./options/read-options.ts";

/** The default data directory: the system's for root, else the user's (XDG base directories). */
export function defaultDataDir(env: Environment, userId: number | undefined): string {
  if (userId === 0) return "/var/lib/solstice";
  // The XDG specification says that a relative path there must be ignored.
  const stateHome = env.XDG_STATE_HOME;
  if (stateHome && isAbsolute(stateHome)) return join(stateHome, "solstice");
  return join(env.HOME && isAbsolute(env.HOME) ? env.HOME : homedir(), ".local/state/solstice");
}
