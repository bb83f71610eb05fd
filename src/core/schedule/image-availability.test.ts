import assert from "node:assert/strict";
import { test } from "node:test";
import type { HostRecord } from "../hosts/host-facts.ts";
import type { Backend } from "../job/job.ts";
import { type ImageHere, whyRefused, whyUnavailable } from "./image-availability.ts";
import { hostRecord } from "./testing/hosts.ts";

const now = 1_000_000_000;
const timeoutMs = 1000;
const absent = { kind: "absent", message: "" } as const;
const failed = { kind: "failed", message: "The checksum is wrong." } as const;
const pending = { kind: "pending", message: "" } as const;

const elsewhere = { kind: "elsewhere", needs: "libvirt" } as const;
const illumosHost = hostRecord("b", { images: ["omnios"] });

/**
 * A host whose map has the image but that does not run it: another backend is needed, or (null) its backend does not
 * support the image.
 */
function unfitHost(backend: Backend, needs: Backend | null, given: Partial<HostRecord> = {}): HostRecord {
  const defaults = { cpu: 1, ramMb: 1, diskGb: 1 };
  const problem = needs === null ? "It cannot have disk_bus: scsi." : `It needs ${needs}.`;
  const unfit = { omnios: { needs, problem, defaults } };
  return { ...hostRecord("u", { facts: { backend, unfit } }), ...given };
}

function problem(here: ImageHere, others: HostRecord[], waited: number): string | null {
  return whyUnavailable("omnios", here, { others, waitingSince: now - waited, timeoutMs, now });
}

test("an image that another host can use now is never unavailable", () => {
  for (const here of [absent, failed, pending]) assert.equal(problem(here, [illumosHost], 1e9), null);
});

test("without another host that has or had it, an image is unavailable at once, or when its time is over", () => {
  assert.match(problem(failed, [hostRecord("c")], 0) ?? "", /checksum/);
  assert.equal(problem(pending, [], timeoutMs - 1), null);
  assert.match(problem(pending, [], timeoutMs) ?? "", /did not become ready within 1 s/);
});

test("a job gets its whole time while another host prepares the image, or from the loss of that host", () => {
  const defaults = { cpu: 1, ramMb: 1, diskGb: 1 };
  const preparing = hostRecord("b", { facts: { images: { omnios: { defaults, ready: false } } } });
  assert.equal(problem(failed, [preparing], timeoutMs - 1), null);
  assert.match(problem(failed, [preparing], timeoutMs) ?? "", /Its last error: The checksum/);
  const lost = (ago: number) => ({ ...illumosHost, lostAt: now - ago });
  assert.equal(problem(failed, [lost(timeoutMs - 1)], 1e6), null);
  assert.notEqual(problem(failed, [lost(timeoutMs)], 1e6), null);
  assert.equal(problem(failed, [lost(timeoutMs)], timeoutMs - 1), null);
});

test("an image that needs another backend waits for such a host without a time limit", () => {
  const others = [[], [hostRecord("c")], [unfitHost("zones", "libvirt")], [unfitHost("libvirt", null)]];
  for (const hosts of others) assert.equal(problem(elsewhere, hosts, 1e9), null);
});

test("a job whose image is absent from this host's map waits without a time limit", () => {
  const lost = { ...illumosHost, lostAt: 1 };
  const others = [
    [],
    [hostRecord("c")],
    [lost],
    [unfitHost("zones", "libvirt")],
    [unfitHost("libvirt", null)],
  ];
  for (const hosts of others) assert.equal(problem(absent, hosts, 1e9), null);
});

test("an image that this host's backend cannot run fails at once", () => {
  assert.match(problem(failed, [], 0) ?? "", /cannot be used/);
});

test("a new job is refused only if no host can ever run its image", () => {
  const refusal = (here: ImageHere, ...others: HostRecord[]) => whyRefused("omnios", here, others);
  const cannot = "It cannot have disk_bus: scsi.";
  assert.equal(refusal(failed), failed.message);
  for (const here of [failed, absent, elsewhere]) assert.equal(refusal(here, illumosHost), null);
  for (const here of [pending, absent, elsewhere]) assert.equal(refusal(here), null);
  assert.equal(refusal(elsewhere, hostRecord("c", { facts: { backend: "libvirt" } })), null);
  // The only host with the backend and the image does not support it.
  assert.equal(refusal(elsewhere, unfitHost("libvirt", null)), cannot);
  assert.equal(refusal(absent, unfitHost("libvirt", null)), cannot);
  assert.equal(refusal(absent, unfitHost("noop", "libvirt"), unfitHost("libvirt", null)), cannot);
  // A host with a third backend does not count; a lost host does not count either.
  assert.equal(refusal(elsewhere, unfitHost("zones", null)), null);
  assert.equal(refusal(absent, unfitHost("noop", "libvirt"), unfitHost("zones", null)), null);
  assert.equal(refusal(elsewhere, unfitHost("libvirt", null, { lostAt: 1 })), null);
});
