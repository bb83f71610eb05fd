import assert from "node:assert/strict";
import { test } from "node:test";
import { SolsticeError } from "../../core/errors.ts";
import { LibvirtConnectionError, LibvirtError } from "../../libvirt/index.ts";
import { toSolsticeError } from "./errors.ts";

function libvirtError(code: number, message: string): LibvirtError {
  return new LibvirtError({ code, domain: 10, level: 2, message, procedure: "domain_create_with_flags" });
}

test("libvirt's error text is kept, with a matching code and remedy", () => {
  // Each text is an error of libvirt 9.0 with QEMU 7.2.
  const expected: [number, string, string, RegExp][] = [
    [43, "Network not found: no network with matching name 'nope'", "network_missing", /net-start/],
    [55, "Requested operation is not valid: network 'ci' is not active", "network_missing", /net-start/],
    [
      38,
      "Cannot access storage file '/x/overlay.qcow2' (as uid:64055, gid:64055): Permission denied",
      "hypervisor_failed",
      /chmod o\+x/,
    ],
    [
      1,
      "internal error: qemu unexpectedly closed the monitor: -chardev pty,id=charserial0: Failed to create PTY: Permission denied",
      "hypervisor_failed",
      /ptmx/,
    ],
    [38, "cannot create file '/x/console.log': No space left on device", "disk_full", /Free space/],
    [
      1,
      "internal error: qemu unexpectedly closed the monitor: cannot set up guest memory 'pc.ram': Cannot allocate memory",
      "hypervisor_failed",
      /MAX_CONCURRENCY/,
    ],
    [
      1,
      "internal error: process exited while connecting to monitor: ../../target/i386/kvm/kvm.c:3183: kvm_buf_set_msrs: Assertion `ret' failed.",
      "hypervisor_failed",
      /LIBVIRT_VIRT_TYPE=qemu/,
    ],
    [9, "operation failed: Unable to find any firmware to satisfy 'efi'", "hypervisor_failed", /ovmf/],
    [45, "authentication failed: access denied by policy", "hypervisor_unavailable", /group libvirt/],
    [67, "unsupported configuration: whatever", "hypervisor_failed", /log/],
  ];
  for (const [code, words, ourCode, remedy] of expected) {
    const error = toSolsticeError(libvirtError(code, words), "job-x cannot start");
    assert.equal(error.code, ourCode, words);
    assert.ok(error.message.startsWith(`job-x cannot start: ${words}`));
    assert.match(error.remedy ?? "", remedy, words);
  }
});

test("a missing connection is reported as such, not as a failure of the guest", () => {
  const error = toSolsticeError(
    new LibvirtConnectionError("lost", "The socket closed."),
    "job-x cannot start",
  );
  assert.equal(error.code, "hypervisor_unavailable");
  assert.match(error.message, /The socket closed/);
});

test("the remedy for a timeout does not advise to start the running daemon", () => {
  const error = toSolsticeError(new LibvirtConnectionError("timeout", "Not answered."), "job-x");
  assert.equal(error.code, "hypervisor_unavailable");
  assert.match(error.remedy ?? "", /busy or hangs/);
});

test("SolsticeErrors pass unchanged", () => {
  const ours = new SolsticeError("disk_full", "Full.");
  assert.equal(toSolsticeError(ours, "anything"), ours);
});
