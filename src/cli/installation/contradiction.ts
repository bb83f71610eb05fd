import { readNote } from "../../config/load-client-config.ts";
import { shownUrl } from "../../core/text/shown-url.ts";
import type { ApiSession } from "../api/api-session.ts";
import { oneLine } from "../print/text.ts";

/** How long the question may take; a command does not wait longer for a warning. */
const askTimeoutMs = 5_000;

/**
 * A sentence where the API and the data directory were both named, by variables or both by flags, and belong to different
 * orchestrators; else null. Says nothing of an API that does not answer: the command itself reports that.
 */
export async function contradiction(session: ApiSession): Promise<string | null> {
  const { apiUrl, apiUrlFrom, dataDir, dataDirFrom } = session.place;
  if (apiUrlFrom === null || dataDirFrom === null) return null;
  // A flag beats the other option's variable: it was given for this very command.
  if (apiUrlFrom.startsWith("--") !== dataDirFrom.startsWith("--")) return null;
  const host = await session.client
    .describeHost({ images: false }, { timeoutMs: askTimeoutMs })
    .catch(() => null);
  if (host === null || (await isOf(dataDir, host))) return null;
  return (
    `${apiUrlFrom} (${shownUrl(apiUrl ?? "")}) is used: the orchestrator of host ${oneLine(host.hostId)} with the data directory ` +
    `${oneLine(host.dataDir)}. ${dataDirFrom} names another one: ${dataDir}.`
  );
}

async function isOf(
  dataDir: string,
  host: { readonly hostId: string; readonly dataDir: string },
): Promise<boolean> {
  const note = await readNote(dataDir);
  return note?.hostId ? note.hostId === host.hostId : dataDir === host.dataDir;
}
