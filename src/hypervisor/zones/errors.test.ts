import assert from "node:assert/strict";
import { test } from "node:test";
import { isAbsent, isBusy, isWrongState, toHostError } from "./errors.ts";

const failed = (program: string, stderr: string, args: string[] = []) => ({
  program,
  args,
  exitCode: 1,
  stdout: "",
  stderr,
});

test("error texts of illumos' commands get a code and a remedy", () => {
  const cases: [program: string, said: string, code: string][] = [
    ["zoneadm", "zoneadm: zone 'x': only a privileged user may boot a zone.", "hypervisor_unavailable"],
    ["dladm", "dladm: vnic creation over igb0 failed: permission denied", "hypervisor_unavailable"],
    ["zfs", "cannot create 'a/b': out of space", "disk_full"],
    ["dd", "write: No space left on device", "disk_full"],
    ["zfs", "cannot create 'a/b': parent does not exist", "hypervisor_failed"],
    ["zfs", "cannot create 'a/b': dataset already exists", "already_exists"],
    ["zoneadm", "zoneadm: zone 'x': another zoneadm may have an operation in progress.", "hypervisor_failed"],
    ["zoneadm", "zoneadm: zone 'x': must be installed before boot.", "hypervisor_failed"],
    ["zoneadm", "zoneadm: nope: No such zone configured", "hypervisor_failed"],
    ["dladm", "dladm: invalid vnic name 'ci7': object not found", "network_missing"],
    ["qemu-img", "qemu-img: Could not open 'x': Image is not in qcow2 format", "image_unavailable"],
    ["dd", "dd: /images/x: open: No such file or directory", "image_unavailable"],
  ];
  for (const [program, said, code] of cases) {
    const error = toHostError(failed(program, said));
    assert.equal(error.code, code, said);
    assert.ok(error.message.includes(said));
    assert.match(error.remedy ?? "", /^[A-Z].+/);
  }
});

test("an error is short: no configuration, and the last lines only", () => {
  const error = toHostError(failed("zonecfg", "line\n".repeat(100), ["-z", "job-1", "x".repeat(5000)]));
  assert.ok(error.message.length < 300);
  assert.match(error.message, /^`zonecfg -z job-1` failed/);
});

test("a command with error text only on stdout is quoted too", () => {
  assert.match(toHostError({ ...failed("zfs", ""), stdout: "odd" }).message, /odd/);
});

test("busy, absent and wrong-state errors are distinguished", () => {
  assert.ok(
    isBusy(failed("zoneadm", "zoneadm: zone 'x': another zoneadm may have an operation in progress.")),
  );
  assert.ok(isBusy(failed("zfs", "cannot destroy 'a/b': dataset is busy")));
  assert.ok(isAbsent(failed("zfs", "cannot open 'a/b': dataset does not exist")));
  assert.ok(isAbsent(failed("zoneadm", "zoneadm: nope: No such zone configured")));
  assert.ok(isAbsent(failed("dladm", "dladm: invalid vnic name 'ci7': object not found")));
  assert.ok(isAbsent(failed("dladm", "dladm: invalid link name 'ci7'")), "the text of delete-vnic");
  for (const said of [
    "zone 'x': halt operation is invalid for zones in state 'configured'",
    "zoneadm: zone 'x': cannot manage a zone which is in state 'configured'",
    "zoneadm: zone 'x': uninstall operation is invalid for running zones.",
    "zoneadm: zone 'x': is already in state 'configured'.",
    "x: Zone state is invalid for the requested operation",
  ])
    assert.ok(isWrongState(failed("zoneadm", said)), said);
  assert.ok(!isBusy(failed("zfs", "cannot create 'a/b': out of space")));
});
