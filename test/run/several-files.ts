// Runs several test files in one process, each as a suite named by its path: starting Node and loading the shared
// code costs more than the tests of most unit test files.
import { describe } from "node:test";
import { pathToFileURL } from "node:url";
import { filesVariable } from "./files-variable.ts";

const paths: readonly string[] = JSON.parse(process.env[filesVariable] ?? "[]");
for (const path of paths)
  describe(path, async () => {
    await import(pathToFileURL(path).href);
  });
