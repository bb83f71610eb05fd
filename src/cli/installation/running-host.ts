import { readNote } from "../../config/load-client-config.ts";
import { isSolsticeError } from "../../core/errors.ts";
import { shownUrl } from "../../core/text/shown-url.ts";
import type { DescribeHostResponse } from "../../gen/solstice/v1/jobs_pb.ts";
import type { ApiSession } from "../api/api-session.ts";
import { oneLine } from "../print/text.ts";

/** The orchestrator that a command's flags and environment name, if it answers. */
export interface RunningHost {
  readonly description: DescribeHostResponse;
  /** The URL without a password, safe to print. */
  readonly apiUrl: string;
  /** True if the orchestrator runs on this machine, so that its paths are valid here. */
  readonly isHere: boolean;
}

/** The orchestrator that answered, or a sentence why none did. */
export type HostAnswer = RunningHost | { readonly absence: string };

/** Reads the orchestrator's settings; with `images`, also the state of each image on its disk. Throws all errors except `unavailable`. */
export async function queryHost(session: ApiSession, { images }: { images: boolean }): Promise<HostAnswer> {
  try {
    const description = await session.call((client, options) => client.describeHost({ images }, options));
    const note = await readNote(description.dataDir);
    const isHere = note !== null && note.hostId === description.hostId;
    return { description, apiUrl: shownUrl(session.apiUrl), isHere };
  } catch (error) {
    if (!isSolsticeError(error, "unavailable")) throw error;
    return { absence: error.message };
  }
}

/** A sentence with the orchestrator that answered and its settings. */
export function hostSentence({ description, apiUrl }: RunningHost): string {
  const { hostId, backend, dataDir, imageMapPath } = description;
  return (
    `The orchestrator of host ${oneLine(hostId)} at ${oneLine(apiUrl)}: backend ${oneLine(backend)}, ` +
    `data directory ${oneLine(dataDir)}, image map ${oneLine(imageMapPath)}.`
  );
}

/** The facts of {@link hostSentence} for `--json`. `docs/reference/cli.md` documents the keys; they must not change. */
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
