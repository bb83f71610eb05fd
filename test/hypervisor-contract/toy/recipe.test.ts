import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const root = join(import.meta.dirname, "../../..");
const page = readFileSync(join(root, "docs/adding-a-hypervisor.md"), "utf8");

/** What stands in a file of the toy between `// recipe: NAME` and its end, without the indentation. */
function excerptOf(file: string, name: string): string {
  const source = readFileSync(join(import.meta.dirname, file), "utf8");
  const [, indent = "", text] =
    new RegExp(`^( *)// recipe: ${name}\\n(.*?)^ *// recipe: end`, "ms").exec(source) ?? [];
  assert.ok(text, `${file} has no excerpt ${name}`);
  return text.trimEnd().replaceAll(new RegExp(`^${indent}`, "gm"), "");
}

test("the excerpts of docs/adding-a-hypervisor.md are the toy's code, and each of its marked parts is there", () => {
  const excerpts = [...page.matchAll(/<!-- toy: (\S+) (\S+) -->\n\n```ts\n(.*?)\n```/gs)];
  for (const [, file = "", name = "", code] of excerpts) assert.equal(code, excerptOf(file, name), name);
  const shown = new Set(excerpts.map(([, file, name]) => `${file} ${name}`));
  const marked = ["toy.ts", "guest-files.ts", "qemu.ts", "watch.ts"].flatMap((file) =>
    [...readFileSync(join(import.meta.dirname, file), "utf8").matchAll(/\/\/ recipe: (?!end)(\S+)/g)].map(
      ([, name]) => `${file} ${name}`,
    ),
  );
  assert.deepEqual([...shown].sort(), marked.sort());
});

test("every file that docs/adding-a-hypervisor.md names exists", () => {
  const names = page.matchAll(/`((?:src|docs|scripts|test|contract|libvirt)\/[\w./-]+)`/g);
  const folders = ["", "src/hypervisor", "test/hypervisor-contract"];
  for (const [, name = ""] of names) {
    if (name.includes("NAME")) continue;
    assert.ok(
      folders.some((folder) => existsSync(join(root, folder, name))),
      name,
    );
  }
});
