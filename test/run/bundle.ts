import { cpSync, mkdirSync, rmSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { build } from "esbuild";
import { programVariable } from "../support/program-variable.ts";

/** What the product reads beside its code. */
const readFromRoot = ["package.json", "node_modules", "examples", "images", "docs", "deploy", "scripts"];

/** What Node runs as a program or as a thread. */
const entryPoints = ["src/cli/main.ts", "src/store/postgres/lease-worker.ts"];

/** Some dependencies are CommonJS, and require modules of Node. */
const banner =
  'import { createRequire as requireOf } from "node:module"; const require = requireOf(import.meta.url);';

/**
 * Makes one file of the command line and all its dependencies, in a folder that looks like the installed package: a process starts
 * with half the processor time, and `npm test` starts hundreds. Returns the variable that has the tests start it.
 */
export async function bundleProgram(root: string): Promise<Record<string, string>> {
  const folder = join(root, "node_modules/.cache/solstice-bundle");
  rmSync(folder, { recursive: true, force: true });
  const code = join(folder, "dist/cli");
  await build({
    absWorkingDir: root,
    entryPoints,
    entryNames: "[name]",
    outdir: code,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node24",
    banner: { js: banner },
    external: ["pg-native"],
    logLevel: "error",
  });
  for (const name of readFromRoot) symlinkSync(join(root, name), join(folder, name));
  symlinkSync(join(root, "src/guest/runner"), join(code, "runner"));
  const program = join(folder, "bin/solstice");
  mkdirSync(dirname(program));
  cpSync(join(root, "bin/solstice"), program);
  return { [programVariable]: program };
}
