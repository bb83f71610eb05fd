import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const root = join(import.meta.dirname, "../..");
const page = readFileSync(join(root, "docs/contributing/adding-a-hypervisor.md"), "utf8");

test("the excerpts of docs/contributing/adding-a-hypervisor.md are parts of the files that they name", () => {
  const excerpts = [...page.matchAll(/<!-- excerpt of (\S+) -->\n\n```ts\n(.*?)\n```/gs)];
  assert.equal(excerpts.length, [...page.matchAll(/```ts/g)].length, "each names its file");
  assert.ok(excerpts.length >= 5);
  for (const [, file = "", text = ""] of excerpts) {
    const source = readFileSync(join(root, file), "utf8");
    for (const part of text.split(/\n\n(?=\S)/)) assert.ok(source.includes(`${part}\n`), `${file}:\n${part}`);
  }
});

test("every file that docs/contributing/adding-a-hypervisor.md names exists", () => {
  const names = page.matchAll(/`((?:src|docs|scripts|test|contract|libvirt|zones)\/[\w./-]+)`/g);
  const folders = ["", "src/hypervisor", "test/hypervisor-contract"];
  for (const [, name = ""] of names) {
    if (name.includes("NAME")) continue;
    assert.ok(
      folders.some((folder) => existsSync(join(root, folder, name))),
      name,
    );
  }
});
