export {
  type ImageListener,
  type ImageStore,
  type ImageStoreOptions,
  openImageStore,
  type PullOptions,
} from "./image-store.ts";
export type { ImageRow } from "./inspect.ts";
export { createProgressBars, createProgressLog, type ProgressView } from "./progress.ts";
export type { ImageLog, ImageProgress, ImageState, PreparationPhase, ReadyImage } from "./types.ts";
