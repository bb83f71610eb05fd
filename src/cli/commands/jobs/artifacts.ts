import { relative, resolve } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import { errorText, SolsticeError } from "../../../core/errors.ts";
import type { Artifact, ListArtifactsResponse } from "../../../gen/solstice/v1/jobs_pb.ts";
import { formatBytes } from "../../../host/files/disk-space.ts";
import type { ApiSession } from "../../api/api-session.ts";
import { downloadArtifact } from "../../artifacts/download.ts";
import { nameMatches } from "../../artifacts/name-match.ts";
import { safePaths } from "../../artifacts/safe-path.ts";
import { makeTargetDirectory } from "../../artifacts/target-directory.ts";
import { addClientOptions, examplesText, openSession, type RegisterCommand } from "../../command.ts";
import type { CliContext } from "../../context.ts";
import { exitCodes } from "../../print/exit-codes.ts";
import { write, writeJson } from "../../print/output.ts";
import { createStatusLine, type StatusLine } from "../../print/status-line.ts";
import { tableText } from "../../print/table.ts";
import { durationText, oneLine } from "../../print/text.ts";

/** The API's number for the latest attempt. */
const latestAttempt = 0;

interface ListFlags {
  readonly attempt?: number;
  readonly json?: true;
}

interface GetFlags extends ListFlags {
  readonly output?: string;
  readonly force?: true;
}

interface View {
  readonly context: CliContext;
  readonly session: ApiSession;
}

/** `solstice artifacts JOB` and `solstice artifacts get JOB [NAME…]`: the files that a job kept. */
export const registerArtifacts: RegisterCommand = (program, context) => {
  const list = program
    .command("artifacts")
    .argument("<JOB>")
    .summary("list the files a job kept, or fetch them")
    .description(
      "Lists the files that a job kept (docs/reference/artifacts.md), with their sizes and digests.",
    )
    .enablePositionalOptions();
  addClientOptions(addAttempt(list))
    .addHelpText(
      "after",
      examplesText([
        ["solstice artifacts 7k3m", "the files that the job kept"],
        [
          "solstice artifacts get 7k3m 'dist/*.deb'",
          "fetch some of them, into a directory named after the job",
        ],
      ]),
    )
    .action(async (jobId: string, flags: ListFlags) => {
      const session = await openSession(list, context);
      const answer = await listed({ context, session }, jobId, flags);
      if (flags.json) await writeJson(context.stdout, document(answer));
      else await write(context.stdout, listText(answer, context));
    });
  registerGet(list, context);
};

function registerGet(parent: Command, context: CliContext): void {
  const get = parent
    .command("get")
    .argument("<JOB>")
    .argument("[NAME...]")
    .summary("fetch the files a job kept")
    .description(
      "Fetches the files whose names equal NAME, lie below NAME, or match NAME as a pattern; without NAME all files. Checks each " +
        "file's digest, resumes an interrupted download, and skips files that exist already with the same content. The job " +
        "chose the names, so nothing is written outside of the directory, names with a leading dot or dash are changed, and links " +
        "are not followed. Exits 1 when a file could not be fetched; the others are still fetched.",
    )
    .option("-o, --output <DIR>", "the directory for the files; created if missing (default: JOB's id, here)")
    .option("--force", "replace existing files that have other content");
  addClientOptions(addAttempt(get))
    .addHelpText(
      "after",
      examplesText([
        [
          "solstice artifacts get 7k3m -o out",
          "everything, into out/ instead of a directory named after the job",
        ],
      ]),
    )
    .action(async (jobId: string, names: string[], flags: GetFlags) => {
      const session = await openSession(get, context);
      await fetchFiles({ context, session }, { jobId, names, flags });
    });
}

function addAttempt(command: Command): Command {
  return command.option("--attempt <N>", "the files of this attempt (default: the latest)", parseAttempt);
}

function listed({ session }: View, jobId: string, { attempt }: ListFlags): Promise<ListArtifactsResponse> {
  return session.call((client, options) =>
    client.listArtifacts({ jobId, attempt: attempt ?? latestAttempt }, options),
  );
}

async function fetchFiles(
  view: View,
  { jobId, names, flags }: { jobId: string; names: readonly string[]; flags: GetFlags },
): Promise<void> {
  const { context, session } = view;
  const answer = await listed(view, jobId, flags);
  const wanted = answer.artifacts.filter(
    ({ name }) => names.length === 0 || names.some((one) => nameMatches(name, one)),
  );
  if (wanted.length === 0) throw nothingFound(answer, names);
  const directory = await makeTargetDirectory(flags.output, answer.jobId);
  const paths = safePaths(wanted.map(({ name }) => name));
  const results = [];
  for (const [at, artifact] of wanted.entries()) {
    const path = paths[at] ?? "_";
    const url = `/v1/jobs/${answer.jobId}/artifacts/${answer.attempt}/${artifact.id}`;
    const line = createStatusLine(context.stderr);
    const onProgress = progressOf(artifact, line);
    const place = { directory, path, isForced: flags.force ?? false };
    const outcome = await downloadArtifact(session, { artifact, url, ...place, onProgress }).then(
      (isFetched) => ({ state: isFetched ? "fetched" : "unchanged", problem: null }),
      (error: unknown) => ({ state: "failed", problem: errorText(error) }),
    );
    results.push({
      name: artifact.name,
      path: resolve(directory, path),
      size_bytes: Number(artifact.sizeBytes),
      ...outcome,
    });
    line.clear();
    if (!flags.json) await report(view, results.at(-1), path);
  }
  if (flags.json)
    await writeJson(context.stdout, { job_id: answer.jobId, attempt: answer.attempt, artifacts: results });
  else if (flags.output === undefined)
    await write(context.stdout, `In ${relative(".", directory) || directory}/\n`);
  if (results.some(({ state }) => state === "failed")) context.setExitCode(exitCodes.failure);
}

interface Result {
  readonly name: string;
  readonly state: string;
  readonly problem: string | null;
}

async function report({ context }: View, result: Result | undefined, path: string): Promise<void> {
  if (result === undefined) return;
  const name = oneLine(result.name);
  if (result.problem !== null) context.stderr.write(`${name}: ${oneLine(result.problem)}\n`);
  else
    await write(context.stdout, `${path === result.name ? name : `${name} (saved as ${oneLine(path)})`}\n`);
}

/** Interval of updates on a terminal, and of new lines on other outputs, in ms. */
const terminalMs = 200;
const lineMs = 10_000;

/** Time in ms before progress is shown. */
const silentMs = 2000;

/** Creates a callback that shows the progress of a file. */
function progressOf({ name, sizeBytes }: Artifact, line: StatusLine): (bytes: number) => void {
  const startedAt = performance.now();
  let shownAt = 0;
  return (bytes) => {
    const now = performance.now();
    if (now - shownAt < terminalMs || now - startedAt < silentMs) return;
    shownAt = now;
    const text = `${formatBytes(bytes)} of ${formatBytes(Number(sizeBytes))}  ${oneLine(name)}`;
    line.show(text, String(Math.floor((now - startedAt - silentMs) / lineMs)));
  };
}

function nothingFound({ artifacts, jobId }: ListArtifactsResponse, names: readonly string[]): SolsticeError {
  if (artifacts.length === 0) return new SolsticeError("not_found", `Job ${jobId} kept no files.`);
  return new SolsticeError(
    "not_found",
    `Job ${jobId} kept no file that matches ${names.map(oneLine).join(", ")}.`,
    {
      remedy: `\`solstice artifacts ${jobId}\` lists them.`,
    },
  );
}

function listText({ artifacts, jobId }: ListArtifactsResponse, { stdout, now }: CliContext): string {
  if (artifacts.length === 0) return `Job ${oneLine(jobId)} kept no files.\n`;
  const rows = artifacts.map((artifact) => [
    oneLine(artifact.name),
    formatBytes(Number(artifact.sizeBytes)),
    oneLine(artifact.sha256).slice(0, 16),
    durationText(now() - Number(artifact.storedMs)),
    artifact.expiredMs > 0n ? "removed" : artifact.hostId === "" ? "" : `on host ${oneLine(artifact.hostId)}`,
  ]);
  return tableText({ head: ["NAME", "SIZE", "SHA-256", "AGE", ""], rows, whole: [0] }, stdout);
}

function document({ jobId, attempt, artifacts }: ListArtifactsResponse): object {
  return {
    job_id: jobId,
    attempt,
    artifacts: artifacts.map((artifact) => ({
      name: artifact.name,
      size_bytes: Number(artifact.sizeBytes),
      sha256: artifact.sha256,
      stored_ms: Number(artifact.storedMs),
      expired_ms: artifact.expiredMs === 0n ? null : Number(artifact.expiredMs),
      host_id: artifact.hostId || null,
      api_url: artifact.apiUrl || null,
    })),
  };
}

function parseAttempt(text: string): number {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It needs a whole number from 1.");
}
