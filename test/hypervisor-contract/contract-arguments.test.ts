import assert from "node:assert/strict";
import { test } from "node:test";
import { parseContractArguments } from "./contract-arguments.ts";

const parse = (line: string) => parseContractArguments(line.split(" ").filter((word) => word !== ""));

test("a backend runs with the settings of the operator, and defaults", () => {
  const defaults = {
    kind: "run",
    image: null,
    pool: "rpool/solstice-contract",
    only: null,
  };
  assert.deepEqual(parse("--backend noop"), { ...defaults, backend: "noop" });
  assert.deepEqual(parse("--backend zones --image /i.raw --pool tank/x --only crash"), {
    kind: "run",
    backend: "zones",
    image: "/i.raw",
    pool: "tank/x",
    only: "crash",
  });
});

test("wrong arguments are refused with a message", () => {
  const refused: [string, RegExp][] = [
    ["", /--backend is missing: choose libvirt/],
    ["--backend xen", /--backend is missing: choose libvirt/],
    ["--backend noop file", /Unexpected argument/],
    ["--backend zones --image tiny.raw", /absolute path/],
    ["--backend zones --pool tank", /below a pool/],
    ["--backend zones --pool -o", /ambiguous|below a pool/],
    ["--frobnicate", /Unknown option/],
  ];
  for (const [line, words] of refused) assert.throws(() => parse(line), { message: words }, line);
});
