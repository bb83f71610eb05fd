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

/** Options of {@link pullImages}. */
export interface PullContext {
  readonly config: ImagesConfig;
  readonly context: CliContext;
  readonly json: boolean;
}

/** Prepares one image (or all) and returns the names. Reports failures, which set the exit code. */
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

/** Prepares one image. Returns the error, or null. */
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

/** Adds the image's name to the message of an error. */
function ofImage(name: string, error: unknown): unknown {
  if (!isSolsticeError(error) || error.code === "unavailable") return error;
  const advice = error.remedy === undefined ? {} : { remedy: error.remedy };
  return new SolsticeError(error.code, `Image ${name}: ${error.message}`, { ...advice, cause: error });
}

/** The named image, or all images that this host runs. Refuses an image that this host cannot start guests from. */
function chooseImages(name: string | undefined, { imageMap: map, hypervisor }: ImagesConfig): string[] {
  const backend = expectedBackend(hypervisor, process.platform);
  if (name === undefined) return [...imagesFor(map, backend).images.keys()];
  const image = map.images.get(name);
  if (image === undefined) throw unknownImage(name, [...map.images.keys()]);
  const unfit = unfitness(image, backend);
  if (unfit === null) return [name];
  throw new SolsticeError("image_unavailable", `Image ${name} is not for this host. ${unfit.problem}`, {
    remedy: "Fetch the image on a host that runs it, or set this host's backend with --hypervisor.",
  });
}

function unknownImage(name: string, names: readonly string[]): SolsticeError {
  const text = `The image map has no image "${name}"${didYouMean(name, names)}.`;
  return new SolsticeError("not_found", text, { remedy: `Images: ${names.join(", ")}.` });
}

function lineLog({ stderr }: CliContext): Log {
  const line = (_fields: object, message: string) => void stderr.write(`${manyLines(message)}\n`);
  return { debug: line, info: line, warn: line, error: line };
}

function interrupted(): SolsticeError {
  return new SolsticeError("unavailable", "Interrupted.", {
    remedy: "Downloaded parts are kept: the next pull resumes the download.",
  });
}
