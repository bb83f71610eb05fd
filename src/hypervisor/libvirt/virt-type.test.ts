import assert from "node:assert/strict";
import { test } from "node:test";
import { silentLog } from "../../core/log.ts";
import { chooseVirtType, type KvmProbe, type VirtTypeFacts } from "./virt-type.ts";

const withKvm = "<guest><domain type='qemu'/><domain type='kvm'/></guest>";
const withoutKvm = "<guest><domain type='qemu'/></guest>";
const works: KvmProbe = async () => ({ works: true, detail: "a guest ran" });
const hangs: KvmProbe = async () => ({ works: false, detail: "the guest hung" });

async function choose(facts: Omit<VirtTypeFacts, "log">) {
  const warnings: object[] = [];
  const log = { ...silentLog, warn: (fields: object) => void warnings.push(fields) };
  return { type: await chooseVirtType({ ...facts, log }), warnings };
}

test("auto is KVM where libvirt offers it and it works", async () => {
  const requested = "auto";
  const kvm = { type: "kvm", warnings: [] };
  assert.deepEqual(await choose({ requested, capabilities: withKvm, probeKvm: works }), kvm);
  assert.deepEqual(await choose({ requested, capabilities: withKvm, probeKvm: undefined }), kvm);
});

test("auto is emulation elsewhere, with the reason as a warning", async () => {
  const requested = "auto";
  assert.deepEqual(await choose({ requested, capabilities: withKvm, probeKvm: hangs }), {
    type: "qemu",
    warnings: [{ reason: "the guest hung" }],
  });
  assert.deepEqual(await choose({ requested, capabilities: withoutKvm, probeKvm: works }), {
    type: "qemu",
    warnings: [{ reason: "libvirt offers no KVM on this host" }],
  });
});

test("a requested type is not verified", async () => {
  const probeKvm = async () => assert.fail("the probe must not run");
  for (const requested of ["kvm", "qemu"] as const) {
    assert.deepEqual(await choose({ requested, capabilities: withoutKvm, probeKvm }), {
      type: requested,
      warnings: [],
    });
  }
});
