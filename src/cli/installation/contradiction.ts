import { readNote } from "../../config/load-client-config.ts";
import { shownUrl } from "../../core/text/shown-url.ts";
import type { ApiSession } from "../api/api-session.ts";
import { oneLine } from "../print/text.ts";

/** Time limit of the call, in ms; a command does not wait longer for a warning. */
const callTimeoutMs = 5_000;

/**
 * A warning when API and data directory are both set, by variables or both by flags, and belong to different orchestrators;
 * else null. Null also when the API does not answer, because the command itself reports that.
 */
export async function contradiction(session: ApiSession): Promise<string | null> {
  const { apiUrl, apiUrlFrom, dataDir, dataDirFrom } = session.place;
  if (apiUrlFrom === null || dataDirFrom === null) return null;
  // A flag has priority over the other option's variable, because the flag was given for this command.
  if (apiUrlFrom.startsWith("--") !== dataDirFrom.startsWith("--")) return null;
  const host = await session.client
    .describeHost({ images: false }, { timeoutMs: callTimeoutMs })
    .catch(() => null);
  if (host === null || (await isOf(dataDir, host))) return null;
  return (
    `${apiUrlFrom} (${shownUrl(apiUrl ?? "")}) is used: the orchestrator of host ${oneLine(host.hostId)} with the data directory ` +
    `${oneLine(host.dataDir)}. ${dataDirFrom} names another data directory: ${dataDir}.`
  );
}

async function isOf(
  dataDir: string,
  host: { readonly hostId: string; readonly dataDir: string },
): Promise<boolean> {
  const note = await readNote(dataDir);
  return note?.hostId ? note.hostId === host.hostId : dataDir === host.dataDir;
}
