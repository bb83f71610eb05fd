import type { ImagesConfig } from "../../../config/load-orchestrator-config.ts";
import { isSolsticeError, SolsticeError } from "../../../core/errors.ts";
import { expectedBackend, imagesFor, unfitness } from "../../../core/hosts/backend-fit.ts";
import type { Log } from "../../../core/log.ts";
import { didYouMean } from "../../../core/text/closest-name.ts";
import { formatBytes } from "../../../host/files/disk-space.ts";
import type { ImageStore, ProgressView } from "../../../images/index.ts";
import type { CliContext } from "../../context.ts";
import { exitCodes } from "../../print/exit-codes.ts";
import { reportError } from "../../print/report-error.ts";
import { manyLines } from "../../print/text.ts";

/** What {@link pullImages} needs. */
export interface PullContext {
  readonly config: ImagesConfig;
  readonly context: CliContext;
  readonly json: boolean;
}

/** Prepares one image (or all) and returns their names. A failure is reported and sets the exit code. */
export async function pullImages(name: string | undefined, options: PullContext): Promise<string[]> {
  const { config, context } = options;
  const names = chooseImages(name, config);
  const { createProgressBars, createProgressLog, openImageStore } = await import("../../../images/index.ts");
  const store = openImageStore({ imageMap: config.imageMap, dataDir: config.dataDir });
  const view = context.stderr.isTTY
    ? createProgressBars(context.stderr)
    : createProgressLog(lineLog(context));
  const stop = new AbortController();
  const onSignal = () => stop.abort(interrupted());
  process.once("SIGINT", onSignal);
  try {
    const failures = await Promise.all(names.map((one) => pullOne(one, { store, view, stop, options })));
    view.close();
    for (const failure of failures) if (failure) context.setExitCode(reportError(context, failure, options));
    if (stop.signal.aborted) context.setExitCode(exitCodes.interrupted);
    return names;
  } finally {
    process.off("SIGINT", onSignal);
    await store.close();
  }
}

interface OnePull {
  readonly store: ImageStore;
  readonly view: ProgressView;
  readonly stop: AbortController;
  readonly options: PullContext;
}

/** What went wrong, or null. */
async function pullOne(name: string, { store, view, stop, options }: OnePull): Promise<unknown> {
  try {
    const onProgress = (progress: Parameters<ProgressView["show"]>[1]) => view.show(name, progress);
    const image = await store.pull(name, { signal: stop.signal, onProgress });
    view.finish(name);
    if (!options.json) {
      options.context.stdout.write(`${name} is ready: ${image.path} (${formatBytes(image.fileSizeBytes)})\n`);
    }
    return null;
  } catch (error) {
    view.finish(name);
    return ofImage(name, error);
  }
}

/** Which of several images it is, is part of what happened. */
function ofImage(name: string, error: unknown): unknown {
  if (!isSolsticeError(error) || error.code === "unavailable") return error;
  const advice = error.remedy === undefined ? {} : { remedy: error.remedy };
  return new SolsticeError(error.code, `Image ${name}: ${error.message}`, { ...advice, cause: error });
}

/** The image of a name, or all that this host runs. Nothing is fetched that no guest can be started from. */
function chooseImages(name: string | undefined, { imageMap: map, hypervisor }: ImagesConfig): string[] {
  const backend = expectedBackend(hypervisor, process.platform);
  if (name === undefined) return [...imagesFor(map, backend).images.keys()];
  const image = map.images.get(name);
  if (image === undefined) throw unknownImage(name, [...map.images.keys()]);
  const unfit = unfitness(image, backend);
  if (unfit === null) return [name];
  throw new SolsticeError("image_unavailable", `Image ${name} is not for this host. ${unfit.problem}`, {
    remedy: "Fetch it on a host that runs it, or say which backend this one is to use: --hypervisor.",
  });
}

function unknownImage(name: string, known: readonly string[]): SolsticeError {
  const text = `The image map has no image "${name}"${didYouMean(name, known)}.`;
  return new SolsticeError("not_found", text, { remedy: `Known images: ${known.join(", ")}.` });
}

function lineLog({ stderr }: CliContext): Log {
  const line = (_fields: object, message: string) => void stderr.write(`${manyLines(message)}\n`);
  return { debug: line, info: line, warn: line, error: line };
}

function interrupted(): SolsticeError {
  return new SolsticeError("unavailable", "Interrupted.", {
    remedy: "What has arrived stays: the next pull goes on from there.",
  });
}
