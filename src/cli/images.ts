import type { Command } from "commander";
import { type ImagesConfig, loadImagesConfig } from "../config/load-orchestrator-config.ts";
import { imageOptions } from "../config/options.ts";
import { expectedBackend, type Unfit, unfitness } from "../core/backend-fit.ts";
import type { ImageMap } from "../core/image-map.ts";
import { resolveLabel } from "../core/labels.ts";
import { formatBytes } from "../host/disk-space.ts";
import type { ImageRow } from "../images/index.ts";
import { examplesText, type RegisterCommand } from "./command.ts";
import type { CliContext, Output } from "./context.ts";
import { pullImages } from "./images-pull.ts";
import { addOptions, flagsGiven } from "./option-flags.ts";
import { paintState, write, writeJson } from "./output.ts";
import { tableText } from "./table.ts";
import { manyLines } from "./text.ts";

/** `solstice images [pull [NAME]]`: the images of this host. Works on its files, with or without an orchestrator. */
export const registerImages: RegisterCommand = (program, context) => {
  const images = program
    .command("images")
    .summary("list the images of this host, or fetch them")
    .description(
      "Lists the images of the image map and what is on this host's disk of each. It needs no running orchestrator; " +
        "one that runs prepares missing images by itself, but for those of another backend (elsewhere).",
    )
    .enablePositionalOptions();
  addImageOptions(images)
    .addHelpText(
      "after",
      examplesText([
        ["solstice images", "state, size and digest of each image"],
        ["solstice images pull debian-12", "fetch one now"],
      ]),
    )
    .action(async (flags: { json?: true }) => {
      const config = await loadImagesConfig(flagsGiven(images), context.env);
      const rows = await inspect(config);
      if (flags.json)
        await writeJson(context.stdout, { images: rows.map((row) => rowDocument(row, config)) });
      else await write(context.stdout, listText(rows, config, context.stdout));
    });
  registerPull(images, context);
};

function registerPull(images: Command, context: CliContext): void {
  const pull = images
    .command("pull [NAME]")
    .summary("fetch and prepare one image, or all")
    .description(
      "Fetches, checks and unpacks an image (without NAME all that this host runs). What was interrupted goes on where it stopped; an " +
        "orchestrator that is at it is waited for. Exits 1 when an image could not be had; the others are fetched.",
    );
  addImageOptions(pull)
    .addHelpText(
      "after",
      examplesText([["solstice images pull", "make every image ready before the first job"]]),
    )
    .action(async (name: string | undefined, flags: { json?: true }) => {
      const config = await loadImagesConfig({ ...flagsGiven(images), ...flagsGiven(pull) }, context.env);
      const rows = await pullImages(name, { config, context, json: flags.json ?? false });
      if (!flags.json) return;
      await writeJson(context.stdout, { images: rows.map((row) => rowDocument(row, config)) });
    });
}

function addImageOptions(command: Command): Command {
  command.option("--json", "print one JSON document (and errors as JSON on stderr)");
  return addOptions(command, imageOptions);
}

async function inspect({ imageMap, dataDir }: ImagesConfig): Promise<ImageRow[]> {
  // Loaded only here: the other commands need none of it, and start faster without.
  const { openImageStore } = await import("../images/index.ts");
  const store = openImageStore({ imageMap, dataDir });
  try {
    return await store.inspect();
  } finally {
    await store.close();
  }
}

/** Why this host does not run the image of a row, or null. */
function unfitnessOf({ name }: ImageRow, { imageMap, hypervisor }: ImagesConfig): Unfit | null {
  const image = imageMap.images.get(name);
  return image === undefined ? null : unfitness(image, expectedBackend(hypervisor, process.platform));
}

function rowDocument(row: ImageRow, config: ImagesConfig) {
  return {
    name: row.name,
    labels: labelsOf(row.name, config.imageMap),
    state: row.state,
    unfit: unfitnessOf(row, config)?.problem ?? null,
    format: row.format,
    virtual_size_bytes: row.virtualSizeBytes,
    file_size_bytes: row.fileSizeBytes,
    sha256: row.digest,
    path: row.path,
    partial_bytes: row.partialBytes,
    total_bytes: row.totalBytes,
    holder_pid: row.holderPid,
    message: row.message,
  };
}

function listText(rows: readonly ImageRow[], config: ImagesConfig, output: Output): string {
  const head = ["NAME", "LABELS", "STATE", "SIZE", "SHA-256", "PATH"];
  const cells = rows.map((row) => [
    row.name,
    labelsOf(row.name, config.imageMap).slice(1).join(", "),
    stateText(row, unfitnessOf(row, config), output),
    row.fileSizeBytes === null ? "" : formatBytes(row.fileSizeBytes),
    row.digest?.slice(0, 12) ?? "",
    row.path,
  ]);
  const notes = rows.flatMap((row) => {
    const message = unfitnessOf(row, config)?.problem ?? row.message;
    return message === null ? [] : [`\n${row.name}: ${manyLines(message)}\n`];
  });
  return tableText({ head, rows: cells, flexible: [1, 5], whole: [0] }, output) + notes.join("");
}

/** Of an image that this host does not run, its files matter less than that. */
function stateText(row: ImageRow, unfit: Unfit | null, output: Output): string {
  if (unfit === null) return paintState(output, row.state) + progressText(row);
  return unfit.needs === null ? paintState(output, "failed", "unfit") : paintState(output, "elsewhere");
}

function progressText(row: ImageRow): string {
  if (row.state === "ready" || row.partialBytes === null) return "";
  const total = row.totalBytes === null ? "" : ` of ${formatBytes(row.totalBytes)}`;
  return ` (${formatBytes(row.partialBytes)}${total})`;
}

/** The image's own name, and every alias that ends at it. */
function labelsOf(image: string, map: ImageMap): string[] {
  return [image, ...[...map.aliases.keys()].filter((alias) => resolveLabel(map, alias).image.name === image)];
}
