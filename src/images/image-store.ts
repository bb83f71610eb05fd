import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import pLimit from "p-limit";
import { backoffMs } from "../core/backoff.ts";
import { errorText, SolsticeError } from "../core/errors.ts";
import type { ImageDefinition, ImageMap } from "../core/image-map/image-map.ts";
import { type Log, silentLog } from "../core/log.ts";
import { isPermanent } from "./errors.ts";
import { type ImageRow, inspectImages } from "./inspect.ts";
import { defaultImageLimits, type ImageLimits } from "./limits.ts";
import { digestByHand, findReadyImage, hasComparableChecksum } from "./prepare/find-ready-image.ts";
import type { ImageProgress, ImageState, PreparationContext, ReadyImage } from "./types.ts";

/** Options of {@link openImageStore}. */
export interface ImageStoreOptions {
  /** The images that this host uses. */
  readonly imageMap: Pick<ImageMap, "images">;
  /** Folder for digests of images in folders that this user may not write. */
  readonly dataDir: string;
  readonly log?: Log;
  /** Called often: show the progress, do not store it. */
  readonly onProgress?: (name: string, progress: ImageProgress) => void;
  /** Smaller limits, for tests. */
  readonly limits?: Partial<ImageLimits>;
}

/** Receives the name of an image whose state changed: read the state with `state`. */
export type ImageListener = (name: string) => void;

/** The images of this host. No work starts before `start` or `pull`. */
export interface ImageStore {
  /**
   * Checks every image, and resolves when it is known which ones are ready. Until `signal` aborts, the others are
   * prepared in the background, each with its own retries; a ready image whose file disappears is prepared again.
   */
  start(signal: AbortSignal): Promise<void>;
  /** Current state of an image. Throws `not_found` for a name that the map does not have. */
  state(name: string): ImageState;
  /** Calls `listener` after each change of kind, phase or digest. Returns the function that unsubscribes. */
  onChange(listener: ImageListener): () => void;
  /** Prepares one image now, or joins a preparation in progress. Throws the preparation's error. */
  pull(name: string, options?: PullOptions): Promise<ReadyImage>;
  /** Lists the state on disk; needs no started store. */
  inspect(): Promise<ImageRow[]>;
  /**
   * Checks the images of a new map. Resolves with a function that replaces the present images at once: unchanged images
   * continue undisturbed, work on removed ones ends. Nothing changes before that function is called.
   */
  stage(imageMap: Pick<ImageMap, "images">): Promise<() => void>;
  /** Stops all work, and resolves after the last write. Received bytes stay for the next time. */
  close(): Promise<void>;
}

/** Options of `pull`. */
export interface PullOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: ImageProgress) => void;
}

/** Opens the images of `imageMap`. See {@link ImageStore}. */
export function openImageStore(options: ImageStoreOptions): ImageStore {
  return new Store(options);
}

interface Entry {
  readonly definition: ImageDefinition;
  state: ImageState;
  /** The preparation in progress. */
  attempt: Promise<ReadyImage> | null;
  readonly watchers: Set<(progress: ImageProgress) => void>;
  /** Ends the pause of the background loop. */
  wake: () => void;
  /** Aborted when the map no longer has this image, or defines it differently. */
  readonly gone: AbortController;
}

class Store implements ImageStore {
  #entries: ReadonlyMap<string, Entry>;
  /** Signal that ends the background work; null before `start`. */
  #started: AbortSignal | null = null;
  readonly #onProgress: ImageStoreOptions["onProgress"];
  readonly #dataDir: string;
  readonly #log: Log;
  readonly #limits: ImageLimits;
  readonly #listeners = new Set<ImageListener>();
  readonly #closing = new AbortController();
  readonly #loops = new Set<Promise<void>>();
  readonly #queue;

  constructor(options: ImageStoreOptions) {
    this.#dataDir = options.dataDir;
    this.#log = options.log ?? silentLog;
    this.#limits = { ...defaultImageLimits, ...options.limits };
    this.#queue = pLimit(this.#limits.concurrency);
    this.#onProgress = options.onProgress;
    const definitions = [...options.imageMap.images.values()];
    this.#entries = new Map(definitions.map((definition) => [definition.name, this.#newEntry(definition)]));
  }

  async start(signal: AbortSignal): Promise<void> {
    const entries = [...this.#entries.values()];
    const stop = AbortSignal.any([signal, this.#closing.signal]);
    await Promise.all(entries.map((entry) => this.#checkOnce(entry, stop)));
    this.#started = stop;
    for (const entry of entries) this.#startLoop(entry, stop);
  }

  async stage(imageMap: Pick<ImageMap, "images">): Promise<() => void> {
    const before = this.#entries;
    const after = new Map<string, Entry>();
    const fresh: Entry[] = [];
    for (const [name, definition] of imageMap.images) {
      const existing = before.get(name);
      const entry =
        existing && isDeepStrictEqual(existing.definition, definition)
          ? existing
          : this.#newEntry(definition);
      after.set(name, entry);
      if (entry !== existing) fresh.push(entry);
    }
    const stop = this.#started;
    if (stop !== null) await Promise.all(fresh.map((entry) => this.#checkOnce(entry, stop)));
    return () => this.#swap(after, fresh);
  }

  #swap(after: ReadonlyMap<string, Entry>, fresh: readonly Entry[]): void {
    const before = this.#entries;
    const gone = [...before.values()].filter((entry) => after.get(entry.definition.name) !== entry);
    this.#entries = after;
    for (const entry of gone) entry.gone.abort(imageGone(entry.definition.name));
    // Two preparations of one file must not overlap.
    const ended = Promise.allSettled(gone.map(({ attempt }) => attempt));
    const stop = this.#started;
    if (stop !== null) void ended.then(() => fresh.map((entry) => this.#startLoop(entry, stop)));
    const changed = new Set([...gone, ...fresh].map(({ definition }) => definition.name));
    for (const name of changed) this.#changed(name);
  }

  #startLoop(entry: Entry, stop: AbortSignal): void {
    const loop = this.#keepReady(entry, AbortSignal.any([stop, entry.gone.signal]));
    this.#loops.add(loop);
    void loop.finally(() => this.#loops.delete(loop));
  }

  #newEntry(definition: ImageDefinition): Entry {
    const watchers: Entry["watchers"] = new Set();
    const onProgress = this.#onProgress;
    if (onProgress) watchers.add((progress) => onProgress(definition.name, progress));
    const gone = new AbortController();
    return { definition, state: waitingState(), attempt: null, watchers, wake: () => {}, gone };
  }

  state(name: string): ImageState {
    return this.#entry(name).state;
  }

  onChange(listener: ImageListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async pull(name: string, options: PullOptions = {}): Promise<ReadyImage> {
    const entry = this.#entry(name);
    const { onProgress, signal = new AbortController().signal } = options;
    if (onProgress) entry.watchers.add(onProgress);
    try {
      const ready = await untilAborted(this.#attempt(entry, signal), signal);
      const { digest } = ready.digest ? ready : await this.#addDigest(entry, ready, signal);
      return { ...ready, digest };
    } finally {
      if (onProgress) entry.watchers.delete(onProgress);
      entry.wake();
    }
  }

  inspect(): Promise<ImageRow[]> {
    const definitions = [...this.#entries.values()].map(({ definition }) => definition);
    return inspectImages(definitions, { dataDir: this.#dataDir, limits: this.#limits });
  }

  async close(): Promise<void> {
    this.#closing.abort(new SolsticeError("unavailable", "The image store was closed."));
    const attempts = [...this.#entries.values()].map(({ attempt }) => attempt);
    await Promise.allSettled([...this.#loops, ...attempts]);
  }

  /** The loop of one image: prepare it, pause, check again. Ends only with `signal`. */
  async #keepReady(entry: Entry, signal: AbortSignal): Promise<void> {
    let failures = 0;
    while (!signal.aborted) {
      try {
        const ready = await this.#attempt(entry, signal);
        failures = 0;
        if (ready.digest === null) await this.#addDigest(entry, ready, signal);
        await this.#pause(entry, this.#limits.recheckSeconds, signal);
      } catch (error) {
        if (signal.aborted) return;
        failures += 1;
        await this.#pause(entry, this.#retrySeconds(error, failures), signal);
      }
    }
  }

  /** Runs one preparation, or joins the one in progress, and updates the state. */
  #attempt(entry: Entry, signal: AbortSignal): Promise<ReadyImage> {
    entry.attempt ??= this.#queue(() => this.#prepare(entry, signal));
    return entry.attempt;
  }

  async #prepare(entry: Entry, signal: AbortSignal): Promise<ReadyImage> {
    const context = this.#context(entry, AbortSignal.any([signal, this.#closing.signal, entry.gone.signal]));
    try {
      // Loaded with the first missing image: the HTTP client and the decompressors need some 5 MB of memory.
      const { prepareImage } = await import("./prepare/prepare-image.ts");
      const ready = await prepareImage(entry.definition, context);
      entry.attempt = null;
      this.#setReady(entry, ready);
      return ready;
    } catch (error) {
      // Cleared before the notification, so that a listener's pull starts a new attempt instead of joining the failed one.
      entry.attempt = null;
      if (!context.signal.aborted) this.#setFailed(entry, error);
      throw error;
    }
  }

  /** The first check: an existing image is ready or failed at once, and nothing is fetched. */
  async #checkOnce(entry: Entry, signal: AbortSignal): Promise<void> {
    if (hasComparableChecksum(entry.definition)) return;
    try {
      const ready = await findReadyImage(entry.definition, this.#context(entry, signal));
      if (ready) this.#setReady(entry, ready);
    } catch (error) {
      if (!signal.aborted) this.#setFailed(entry, error);
    }
  }

  async #addDigest(entry: Entry, ready: ReadyImage, signal: AbortSignal): Promise<ReadyImage> {
    const quiet = { ...this.#context(entry, signal), report() {} };
    const { digest } = await digestByHand(entry.definition, quiet, null);
    const complete = { ...ready, digest };
    this.#setReady(entry, complete);
    return complete;
  }

  #context(entry: Entry, signal: AbortSignal): PreparationContext {
    return {
      limits: this.#limits,
      dataDir: this.#dataDir,
      signal,
      report: (progress) => this.#setProgress(entry, progress),
    };
  }

  #setReady(entry: Entry, ready: ReadyImage): void {
    const before = entry.state;
    entry.state = { kind: "ready", ...ready };
    if (before.kind === "ready" && before.digest === ready.digest) return;
    const { name } = entry.definition;
    if (before.kind !== "ready") this.#log.info({ image: name, path: ready.path }, "image is ready");
    this.#changed(name);
  }

  #setProgress(entry: Entry, progress: ImageProgress): void {
    const before = entry.state;
    const since = before.kind === "preparing" ? before.since : Date.now();
    entry.state = { kind: "preparing", since, ...progress };
    for (const watcher of entry.watchers) watcher(progress);
    const hasChanged =
      before.kind !== "preparing" || before.phase !== progress.phase || before.trouble !== progress.trouble;
    if (hasChanged) this.#changed(entry.definition.name);
  }

  #setFailed(entry: Entry, error: unknown): void {
    const { name } = entry.definition;
    const message = errorText(error);
    const permanent = isPermanent(error);
    const previous = entry.state;
    const retryAt = Date.now() + this.#retrySeconds(error, 1) * 1000;
    entry.state = { kind: "failed", message, retryAt, permanent };
    const isRepeat = previous.kind === "failed" && previous.message === message;
    if (!isRepeat)
      this.#log.error({ image: name, err: error, permanent }, `image cannot be used: ${message}`);
    this.#changed(name);
  }

  #retrySeconds(error: unknown, failures: number): number {
    const { permanentRetrySeconds, retrySeconds, retryMaxSeconds } = this.#limits;
    if (isPermanent(error)) return permanentRetrySeconds;
    return backoffMs(failures, { firstMs: retrySeconds * 1000, maxMs: retryMaxSeconds * 1000 }) / 1000;
  }

  /** Waits until `wake`, at most `seconds`. */
  async #pause(entry: Entry, seconds: number, signal: AbortSignal): Promise<void> {
    if (entry.state.kind === "failed") entry.state = { ...entry.state, retryAt: Date.now() + seconds * 1000 };
    const woken = new AbortController();
    entry.wake = () => woken.abort();
    await sleep(seconds * 1000, undefined, { signal: AbortSignal.any([signal, woken.signal]) }).catch(
      () => {},
    );
  }

  #changed(name: string): void {
    for (const listener of this.#listeners) listener(name);
  }

  #entry(name: string): Entry {
    const entry = this.#entries.get(name);
    if (entry) return entry;
    throw new SolsticeError("not_found", `The image map has no image ${name}.`, {
      remedy: `Known images: ${[...this.#entries.keys()].join(", ")}.`,
    });
  }
}

function imageGone(name: string): SolsticeError {
  return new SolsticeError("not_found", `Image ${name} was removed from the image map or redefined.`);
}

function waitingState(): ImageState {
  return { kind: "preparing", phase: "waiting", doneBytes: 0, totalBytes: null, since: Date.now() };
}

/** Settles like `promise`, or rejects with the signal's reason as soon as the signal aborts. */
async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
