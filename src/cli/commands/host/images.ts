import { create } from "@bufbuild/protobuf";
import type { Command } from "commander";
import { type ImagesConfig, loadImagesConfig } from "../../../config/load-orchestrator-config.ts";
import { clientOptions, imageOptions } from "../../../config/options/options.ts";
import type { RawFlags } from "../../../config/options/read-options.ts";
import { expectedBackend } from "../../../core/hosts/backend-fit.ts";
import { type HostImage, HostImageSchema } from "../../../gen/solstice/v1/jobs_pb.ts";
import { openApiSession } from "../../api/api-session.ts";
import { examplesText, type RegisterCommand, warn } from "../../command.ts";
import type { CliContext } from "../../context.ts";
import { differences, settingOf } from "../../installation/differences.ts";
import { type HostAnswer, hostDocument, hostSentence, queryHost } from "../../installation/running-host.ts";
import { addOptions, flagsGiven } from "../../option-flags.ts";
import { write, writeJson } from "../../print/output.ts";
import { oneLine } from "../../print/text.ts";
import { imageDocument, imagesText } from "./images-list.ts";
import { pullImages } from "./images-pull.ts";

/** `solstice images [pull [NAME]]`: the images of the running orchestrator, or of this machine's image map and files. */
export const registerImages: RegisterCommand = (program, context) => {
  const images = program
    .command("images")
    .summary("list the images of this host, or fetch them")
    .description(
      "Lists the images of the running orchestrator and their state on its host's disk; if none runs, the images of the image map " +
        "here. An orchestrator prepares missing images by itself, except images of another backend (elsewhere).",
    )
    .enablePositionalOptions();
  addImageOptions(images)
    .addHelpText(
      "after",
      examplesText([
        ["solstice images", "state, size and digest of each image"],
        ["solstice images pull debian-12", "fetch one image now"],
      ]),
    )
    .action((flags: { json?: true }) => listImages(flagsGiven(images), context, flags.json ?? false));
  registerPull(images, context);
};

function registerPull(images: Command, context: CliContext): void {
  const pull = images
    .command("pull [NAME]")
    .summary("fetch and prepare one image, or all")
    .description(
      "Fetches, checks and unpacks an image (without NAME: all images that this host runs). Resumes an interrupted download, and waits " +
        "for an orchestrator that prepares the same image. If an orchestrator runs on this machine, its image map and data directory are " +
        "used, unless flags name others. Exits 1 when an image could not be prepared; the others are still fetched.",
    );
  addImageOptions(pull)
    .addHelpText(
      "after",
      examplesText([["solstice images pull", "make every image ready before the first job"]]),
    )
    .action(async (name: string | undefined, flags: { json?: true }) => {
      const given = { ...flagsGiven(images), ...flagsGiven(pull) };
      const config = await pullConfig(given, context);
      const names = await pullImages(name, { config, context, json: flags.json ?? false });
      if (!flags.json) return;
      const rows = (await readImages(config)).filter((row) => names.includes(row.name));
      await writeJson(context.stdout, { images: rows.map(imageDocument) });
    });
}

function addImageOptions(command: Command): Command {
  command.option("--json", "print one JSON document (and errors as JSON on stderr)");
  const { apiUrl, apiToken } = clientOptions;
  return addOptions(command, { ...imageOptions, apiUrl, apiToken });
}

async function listImages(flags: RawFlags, context: CliContext, isJson: boolean): Promise<void> {
  const answer = await queryHost(await openApiSession(flags, context.env), { images: true });
  if ("absence" in answer) return listOwnImages(answer.absence, { flags, context, isJson });
  const { images } = answer.description;
  const differing = differencesHere(answer, flags, context);
  for (const sentence of differing) warn(context, sentence);
  const source = { orchestrator: hostDocument(answer), image_map: answer.description.imageMapPath };
  if (isJson) await writeJson(context.stdout, { ...source, images: images.map(imageDocument) });
  else await write(context.stdout, `${imagesText(images, context.stdout)}\n${hostSentence(answer)}\n`);
}

async function listOwnImages(
  absence: string,
  { flags, context, isJson }: { flags: RawFlags; context: CliContext; isJson: boolean },
): Promise<void> {
  const config = await loadImagesConfig(flags, context.env);
  const images = await readImages(config);
  const source = { orchestrator: null, image_map: config.configPath };
  if (isJson) return writeJson(context.stdout, { ...source, images: images.map(imageDocument) });
  const files = `image map ${config.configPath}, data directory ${config.dataDir}`;
  const note = `No orchestrator is running: the table shows the files of this machine (${files}). ${oneLine(absence)}`;
  await write(context.stdout, `${imagesText(images, context.stdout)}\n${note}\n`);
}

function differencesHere(answer: HostAnswer, flags: RawFlags, { env }: CliContext): string[] {
  return "absence" in answer ? [] : differences({ table: imageOptions, flags, env }, answer.description);
}

/** The settings of `pull`: flags first, then those of the orchestrator on this machine, then the environment. */
async function pullConfig(flags: RawFlags, context: CliContext): Promise<ImagesConfig> {
  const answer = await queryHost(await openApiSession(flags, context.env), { images: false });
  if ("absence" in answer) return loadImagesConfig(flags, context.env);
  if (!answer.isHere) {
    warn(
      context,
      `${hostSentence(answer)} It runs on another machine: this machine's own configuration is used.`,
    );
    return loadImagesConfig(flags, context.env);
  }
  for (const sentence of differencesHere(answer, flags, context)) warn(context, sentence);
  const { description } = answer;
  const theirs = ["config", "data-dir", "hypervisor"].map((flag) => settingOf(description, flag)?.value);
  const [config, dataDir, hypervisor] = theirs;
  const loaded = await loadImagesConfig({ config, dataDir, hypervisor, ...flags }, context.env);
  const isChanged =
    loaded.configPath === description.imageMapPath && loaded.imageMapSha256 !== description.imageMapSha256;
  if (isChanged) warn(context, `${loaded.configPath} was changed after the orchestrator read it.`);
  return loaded;
}

async function readImages({ imageMap, dataDir, hypervisor }: ImagesConfig): Promise<HostImage[]> {
  // Loaded only here: the other commands do not need this module, and start faster without it.
  const { describeImages } = await import("../../../orchestrator/serve/host-images.ts");
  const backend = expectedBackend(hypervisor, process.platform);
  return (await describeImages({ imageMap, dataDir, backend })).map((image) =>
    create(HostImageSchema, image),
  );
}
