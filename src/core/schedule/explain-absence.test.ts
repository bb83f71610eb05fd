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
  const problem = needs === null ? "Use disk_bus: virtio." : `It needs ${needs}.`;
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

test("the explanation names the needed backend, the backends of live hosts, and the remedy", () => {
  assert.equal(
    explained([host("a", "noop", { needs: "zones" })]),
    "no_backend Image omnios needs a host with backend zones, but no live host has that backend: host a has noop. " +
      "The job waits until such a host (HYPERVISOR=zones), with the image in its map, is started on the same PostgreSQL, or until the job is cancelled.",
  );
  const many = ["b", "c", "d", "e", "f", "g"].map((id) => host(id, "libvirt"));
  const named = /: host a has noop, host b has libvirt, .*host e has libvirt, and 2 more\. The/;
  assert.match(explained([host("a", "noop", { needs: "zones" }), ...many]), named);
});

test("a lost host with the backend is named with the time of its loss", () => {
  const lost = host("z", "zones", { images: ["omnios"], lostAt: Date.UTC(2026, 0, 2) });
  const answer = explained([host("a", "noop", { needs: "zones" })], [lost]);
  assert.match(
    answer,
    /^no_backend .*: host a has noop\. z served it until 2026-01-02T00:00:00\.000Z\. The job waits/,
  );
});

test("the facts of a lost host still name the backend that the image needs", () => {
  const answer = explained([host("c", "noop")], [host("a", "noop", { needs: "zones", lostAt: 1 })]);
  assert.match(answer, /^no_backend .*backend zones.*: host c has noop\./);
});

test("the reason why a live host with the backend does not run the image is named", () => {
  const without = host("z", "zones");
  const map = host("a", "noop", { needs: "zones" });
  assert.equal(
    explained([map, without]),
    "no_host No live host serves image omnios: z has the needed backend zones, but not the image; add the image to its image map.",
  );
  const unable = host("y", "zones", { needs: null });
  assert.equal(
    explained([map, unable]),
    "no_host No live host serves image omnios: y cannot run it (Use disk_bus: virtio.).",
  );
});
