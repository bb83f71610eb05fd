import { readNote } from "../../config/load-client-config.ts";
import { isSolsticeError } from "../../core/errors.ts";
import { shownUrl } from "../../core/text/shown-url.ts";
import type { DescribeHostResponse } from "../../gen/solstice/v1/jobs_pb.ts";
import type { ApiSession } from "../api/api-session.ts";
import { oneLine } from "../print/text.ts";

/** The orchestrator that a command's flags and environment lead to, where one answers. */
export interface RunningHost {
  readonly description: DescribeHostResponse;
  /** As it may be shown: without a password. */
  readonly apiUrl: string;
  /** Whether it runs on this machine, so that its paths are this machine's. */
  readonly isHere: boolean;
}

/** What answered, or why nothing did, in a sentence. */
export type HostAnswer = RunningHost | { readonly absence: string };

/** Asks the orchestrator what it runs with; with `images`, also what is on its disk of each. Throws what is not `unavailable`. */
export async function askHost(session: ApiSession, { images }: { images: boolean }): Promise<HostAnswer> {
  try {
    const description = await session.ask((client, options) => client.describeHost({ images }, options));
    const note = await readNote(description.dataDir);
    const isHere = note !== null && note.hostId === description.hostId;
    return { description, apiUrl: shownUrl(session.apiUrl), isHere };
  } catch (error) {
    if (!isSolsticeError(error, "unavailable")) throw error;
    return { absence: error.message };
  }
}

/** Which orchestrator answered, and what it runs with, in a sentence. */
export function hostSentence({ description, apiUrl }: RunningHost): string {
  const { hostId, backend, dataDir, imageMapPath } = description;
  return (
    `The orchestrator of host ${oneLine(hostId)} at ${oneLine(apiUrl)}: backend ${oneLine(backend)}, ` +
    `data directory ${oneLine(dataDir)}, image map ${oneLine(imageMapPath)}.`
  );
}

/** The keys of {@link hostSentence} for `--json`; `docs/reference/cli.md` documents them, and they stay. */
export function hostDocument({ description, apiUrl }: RunningHost) {
  return {
    api_url: apiUrl,
    host_id: description.hostId,
    hostname: description.hostname,
    version: description.version,
    backend: description.backend,
    data_dir: description.dataDir,
    image_map: description.imageMapPath,
  };
}
