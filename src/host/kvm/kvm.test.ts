import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { probeKvm } from "./kvm.ts";
import { probeDisk } from "./kvm-boot-sector.ts";

function isInstalled(program: string): boolean {
  try {
    execFileSync(program, ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

const skipWithoutQemu = isInstalled("qemu-system-x86_64") ? false : "qemu-system-x86_64 is not installed";
const skipWithoutAssembler = isInstalled("as") && isInstalled("ld") ? false : "binutils is not installed";

test("the probe's guest runs to its end under emulation", { skip: skipWithoutQemu }, async () => {
  assert.deepEqual(await probeKvm({ accelerator: "tcg", deadlineSeconds: 60 }), {
    works: true,
    detail: "A test guest ran to its end.",
  });
});

test("a guest that exceeds the deadline counts as not working", { skip: skipWithoutQemu }, async () => {
  const { works, detail } = await probeKvm({ accelerator: "tcg", deadlineSeconds: 0.02 });
  assert.ok(!works);
  assert.match(detail, /did not end within 0\.02 s/);
});

test("the probe ends within its deadline on this host, with either result", async () => {
  const before = performance.now();
  const { works, detail } = await probeKvm();
  assert.equal(typeof works, "boolean");
  assert.ok(detail.length > 0);
  assert.ok(performance.now() - before < 20_000);
});

test("the boot sector equals its assembled source", { skip: skipWithoutAssembler }, (t) => {
  const folder = mkdtempSync(join(tmpdir(), "solstice-probe-source-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const [object, binary] = [join(folder, "probe.o"), join(folder, "probe.bin")];
  execFileSync("as", ["--64", "-o", object, new URL("./kvm-probe.S", import.meta.url).pathname]);
  const layout = ["-m", "elf_x86_64", "-Ttext", "0x7c00", "--oformat", "binary"];
  execFileSync("ld", [...layout, "-o", binary, object]);
  assert.ok(readFileSync(binary).equals(probeDisk().subarray(0, 512)));
});
