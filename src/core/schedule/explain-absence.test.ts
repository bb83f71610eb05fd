import assert from "node:assert/strict";
import { test } from "node:test";
import type { HostRecord } from "../hosts/host-facts.ts";
import type { Backend } from "../job/job.ts";
import { explainAbsence } from "./explain-absence.ts";
import { hostRecord } from "./testing/hosts.ts";

const defaults = { cpu: 1, ramMb: 1, diskGb: 1 };

function host(
  hostId: string,
  backend: Backend,
  given: { needs?: Backend | null; images?: string[]; lostAt?: number } = {},
) {
  const { needs, images = [], lostAt = null } = given;
  const problem = needs === null ? "say disk_bus: virtio" : `It needs ${needs}.`;
  const unfit: HostRecord["facts"]["unfit"] =
    needs === undefined ? {} : { omnios: { needs, problem, defaults } };
  const record = hostRecord(hostId, { images, lostAt });
  return { ...record, facts: { ...record.facts, backend, unfit } };
}

function explained(live: ReturnType<typeof host>[], lost: ReturnType<typeof host>[] = []) {
  const { constraint, message, estimatedStartAt } = explainAbsence("omnios", { live, lost });
  assert.equal(estimatedStartAt, null);
  return `${constraint} ${message}`;
}

test("the backend that is needed is said, what live hosts have, and what to do", () => {
  assert.equal(
    explained([host("a", "noop", { needs: "zones" })]),
    "no_backend Image omnios needs a host with backend zones, and no live host has that: host a has noop. " +
      "The job waits until one with the image in its map is started on the same PostgreSQL (HYPERVISOR=zones), or until it is cancelled.",
  );
  const many = ["b", "c", "d", "e", "f", "g"].map((id) => host(id, "libvirt"));
  const named = /: host a has noop, host b has libvirt, .*host e has libvirt, and 2 more\. The/;
  assert.match(explained([host("a", "noop", { needs: "zones" }), ...many]), named);
});

test("a host of the backend that was lost is said with the time", () => {
  const lost = host("z", "zones", { images: ["omnios"], lostAt: Date.UTC(2026, 0, 2) });
  const answer = explained([host("a", "noop", { needs: "zones" })], [lost]);
  assert.match(
    answer,
    /^no_backend .*: host a has noop\. z did until 2026-01-02T00:00:00\.000Z\. The job waits/,
  );
});

test("what only a lost host knows of the image still says which backend it needs", () => {
  const answer = explained([host("c", "noop")], [host("a", "noop", { needs: "zones", lostAt: 1 })]);
  assert.match(answer, /^no_backend .*backend zones.*: host c has noop\./);
});

test("a live host that has the backend says why it does not run the image", () => {
  const without = host("z", "zones");
  const map = host("a", "noop", { needs: "zones" });
  assert.equal(
    explained([map, without]),
    "no_host No live host serves image omnios: z has backend zones, which it needs, but not the image; add it to the image map there.",
  );
  const unable = host("y", "zones", { needs: null });
  assert.equal(
    explained([map, unable]),
    "no_host No live host serves image omnios: y cannot run it (say disk_bus: virtio).",
  );
});
