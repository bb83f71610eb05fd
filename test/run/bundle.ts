import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { dirname, join } from "node:path";
import { build, type Plugin } from "esbuild";
import { programVariable } from "../support/program-variable.ts";

/** Files and folders that the product reads beside its code. */
const readFromRoot = ["package.json", "node_modules", "examples", "images", "docs", "deploy", "scripts"];

/** The entry points that Node runs as a program or as a thread. */
const entryPoints = ["src/cli/main.ts", "src/store/postgres/lease-worker.ts"];

/** Some dependencies are CommonJS and require modules of Node. */
const banner =
  'import { createRequire as requireOf } from "node:module"; const require = requireOf(import.meta.url);';

/**
 * An `import` of `node:http` makes Node load its own fetch, for an export that is not used: 15 ms of processor time.
 * A `require` does not.
 */
const modulesOfNode: Plugin = {
  name: "modules of Node",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^(node:)?[a-z0-9_/]+$/ }, ({ path }) =>
      isBuiltin(path) ? { path, namespace: "node" } : null,
    );
    onLoad({ filter: /.*/, namespace: "node" }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule(${JSON.stringify(path)});`,
    }));
  },
};

/** The text of `bin/solstice` that ends its search for a Node. */
const startOfNode = "  main=$root/dist/cli/main.js\nfi\n";

/**
 * Bundles the command line and all its dependencies into one file, in a folder that looks like the installed package:
 * a process starts with half the processor time, and `npm test` starts hundreds. Returns the variable that makes the
 * tests start it.
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
    plugins: [modulesOfNode],
    // Half the text to read. Names stay, since messages and stacks contain them.
    minifyWhitespace: true,
    minifySyntax: true,
    legalComments: "none",
    logLevel: "error",
  });
  for (const name of readFromRoot) symlinkSync(join(root, name), join(folder, name));
  symlinkSync(join(root, "src/guest/runner"), join(code, "runner"));
  const program = join(folder, "bin/solstice");
  mkdirSync(dirname(program));
  writeFileSync(program, launcher(root, join(code, "main.js")), { mode: 0o755 });
  return { [programVariable]: program };
}

/**
 * `bin/solstice` without its search, which starts each Node to read its version: the Node of this run is new enough.
 */
function launcher(root: string, main: string): string {
  const [, start] = readFileSync(join(root, "bin/solstice"), "utf8").split(startOfNode);
  if (start === undefined)
    throw new Error("bin/solstice has changed: test/run/bundle.ts no longer finds its last part.");
  return `#!/bin/sh\nnode='${process.execPath}'\nmain='${main}'\n${start}`;
}
