export { createProgressBars, createProgressLog, type ProgressView } from "./download/progress.ts";
export { type ImageStore, openImageStore } from "./image-store.ts";
export type { ImageRow } from "./inspect.ts";
