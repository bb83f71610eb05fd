export { type ImageStore, openImageStore } from "./image-store.ts";
export type { ImageRow } from "./inspect.ts";
export { createProgressBars, createProgressLog, type ProgressView } from "./progress.ts";
