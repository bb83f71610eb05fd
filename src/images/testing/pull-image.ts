// A separate process that pulls one image, for tests that kill it or run two. Usage: pull-image.ts JSON

import { openImageStore } from "../image-store.ts";
import { imageDefinition, imageMapOf, quickLimits } from "./fixtures.ts";

const { definition, dataDir, limits } = JSON.parse(process.argv[2] ?? "{}");
const store = openImageStore({
  imageMap: imageMapOf(imageDefinition(definition)),
  dataDir,
  limits: { ...quickLimits, ...limits },
  onProgress: (_name, progress) => process.stdout.write(`${JSON.stringify(progress)}\n`),
});
const ready = await store.pull(definition.name);
process.stdout.write(`${JSON.stringify({ ready, maxRssKib: process.resourceUsage().maxRSS })}\n`);
