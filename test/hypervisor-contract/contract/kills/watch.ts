import { AsyncLocalStorage } from "node:async_hooks";
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { join } from "node:path";
import { begin, type Life } from "./steps.ts";

const lives = new AsyncLocalStorage<Life>();

/** The life of the whole process; null when only some of its work belongs to a life. */
let ownLife: Life | null = null;

/** From now on, all work of this process belongs to `life`. */
export function beginLife(life: Life): void {
  ownLife = life;
}

/** Runs `work` as a part of `life`, including all work that it causes later. */
export function within<Result>(life: Life, work: () => Result): Result {
  return lives.run(life, work);
}

/** The life that the caller's work belongs to; null outside of a life. */
export function currentLife(): Life | null {
  return ownLife ?? lives.getStore() ?? null;
}

/** A promise for the work of a dead life: it never settles. */
export function never(): Promise<never> {
  return new Promise(() => {});
}

/** The outcome of `work`, or a promise that never settles when the life has ended meanwhile. */
export async function unlessDead<Result>(life: Life, work: Promise<Result>): Promise<Result> {
  try {
    const result = await work;
    return life.isDead ? never() : result;
  } catch (error) {
    if (life.isDead) return never();
    throw error;
  }
}

type AsyncFunction = (...args: unknown[]) => Promise<unknown>;

/** Does half of a call; undefined for a call that has no half. */
type Cut = (() => unknown) | undefined;

const changing = [
  ...["mkdir", "rename", "unlink", "rmdir", "chmod", "chown", "symlink", "link", "copyFile", "truncate"],
];

let isWatching = false;

/**
 * Makes every file that is written, made, renamed or removed by `node:fs/promises` a step of the life it belongs to.
 * Each call still does its real work. Appending to a file such as a console is not a step: its moment depends on
 * timing.
 */
export function watchFiles(): void {
  if (isWatching) return;
  isWatching = true;
  const files = fs.promises as unknown as Record<string, AsyncFunction>;
  for (const name of changing) watchFile(files, name, () => undefined);
  watchFile(files, "writeFile", ([path, content]) => {
    if (typeof path !== "string" || typeof content !== "string") return undefined;
    return () => fs.writeFileSync(path, content.slice(0, content.length / 2));
  });
  watchFile(
    files,
    "rm",
    ([path]) =>
      () =>
        removeHalf(String(path)),
  );
  watchFile(
    files,
    "open",
    () => undefined,
    (flags) => typeof flags === "string" && /[w+]/.test(flags),
  );
  syncBuiltinESMExports();
}

function watchFile(
  files: Record<string, AsyncFunction>,
  name: string,
  cutOf: (args: unknown[]) => Cut,
  isStep: (second: unknown) => boolean = () => true,
): void {
  const original = files[name] as AsyncFunction;
  files[name] = async (...args) => {
    const life = currentLife();
    if (life === null || !isStep(args[1])) return original(...args);
    if (life.isDead) return never();
    const cut = cutOf(args);
    const moment = begin(life, `${name} ${args[0]}`, cut ? ["cut"] : []);
    if (moment === "cut") cut?.();
    return moment === null ? unlessDead(life, original(...args)) : life.die();
  };
}

/** Every second entry, beginning with the last: a killed `rm` leaves any of them. */
function removeHalf(path: string): void {
  if (!fs.statSync(path, { throwIfNoEntry: false })?.isDirectory()) return;
  const entries = fs.readdirSync(path).reverse();
  for (const [index, entry] of entries.entries()) {
    if (index % 2 === 0) fs.rmSync(join(path, entry), { recursive: true });
  }
}
