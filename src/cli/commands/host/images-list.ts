import type { HostImage } from "../../../gen/solstice/v1/jobs_pb.ts";
import { formatBytes } from "../../../host/files/disk-space.ts";
import type { Output } from "../../context.ts";
import { paintState } from "../../print/output.ts";
import { tableText } from "../../print/table.ts";
import { manyLines, oneLine } from "../../print/text.ts";

/** An image as `--json` prints it. `docs/reference/cli.md` documents the keys; they must not change. */
export function imageDocument(image: HostImage) {
  return {
    name: image.name,
    labels: image.labels,
    state: image.state,
    unfit: image.unfit || null,
    format: image.format || null,
    virtual_size_bytes: numberOf(image.virtualSizeBytes),
    file_size_bytes: numberOf(image.fileSizeBytes),
    sha256: image.sha256 || null,
    path: image.path,
    partial_bytes: numberOf(image.partialBytes),
    total_bytes: numberOf(image.totalBytes),
    holder_pid: numberOf(image.holderPid),
    message: image.message || null,
  };
}

/** The images as a table for people, followed by the notes on each image. */
export function imagesText(images: readonly HostImage[], output: Output): string {
  const head = ["NAME", "LABELS", "STATE", "SIZE", "SHA-256", "PATH"];
  const rows = images.map((image) => [
    oneLine(image.name),
    image.labels.slice(1).map(oneLine).join(", "),
    stateText(image, output),
    image.fileSizeBytes === undefined ? "" : formatBytes(Number(image.fileSizeBytes)),
    oneLine(image.sha256).slice(0, 12),
    oneLine(image.path),
  ]);
  const notes = images.flatMap(({ name, unfit, message }) => {
    const note = unfit || message;
    return note === "" ? [] : [`\n${oneLine(name)}: ${manyLines(note)}\n`];
  });
  return tableText({ head, rows, flexible: [1, 5], whole: [0] }, output) + notes.join("");
}

/** The state of an image. For an image that this host cannot run, that fact replaces the state of its files. */
function stateText(image: HostImage, output: Output): string {
  if (image.unfit === "") return paintState(output, oneLine(image.state)) + progressText(image);
  return image.needs === "" ? paintState(output, "failed", "unfit") : paintState(output, "elsewhere");
}

function progressText({ state, partialBytes, totalBytes }: HostImage): string {
  if (state === "ready" || partialBytes === undefined) return "";
  const total = totalBytes === undefined ? "" : ` of ${formatBytes(Number(totalBytes))}`;
  return ` (${formatBytes(Number(partialBytes))}${total})`;
}

function numberOf(value: bigint | undefined): number | null {
  return value === undefined ? null : Number(value);
}
