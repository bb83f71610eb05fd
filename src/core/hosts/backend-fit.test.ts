import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import type { ImageDefinition, ImageMap } from "../image-map/image-map.ts";
import { type Backend, backends } from "../job/job.ts";
import { explain } from "../schedule/explain.ts";
import { schedule } from "../schedule/scheduler.ts";
import { arbitrarySnapshot } from "../schedule/testing/scheduler-snapshots.ts";
import { expectedBackend, type GuestTraits, imagesFor, unfitness } from "./backend-fit.ts";

const plain: GuestTraits & Pick<ImageDefinition, "backend"> = {
  ...{ backend: null, seed: "iso", diskBus: "virtio", nicModel: "virtio", firmware: "bios", egress: "open" },
};

const arbitraryImage = fc.record({
  backend: fc.constantFrom(null, ...backends),
  seed: fc.constantFrom("iso", "vfat", "cpio"),
  diskBus: fc.constantFrom("virtio", "sata", "scsi", "ide"),
  nicModel: fc.constantFrom("virtio", "e1000", "e1000e", "rtl8139"),
  firmware: fc.constantFrom("bios", "efi"),
  egress: fc.oneof(fc.constantFrom("open", "none"), fc.constant(["10.0.0.0/8"])),
} as const) as fc.Arbitrary<typeof plain>;

test("an image that names a backend runs only on hosts with that backend", () => {
  for (const needs of backends) {
    for (const backend of backends) {
      const unfit = unfitness({ ...plain, backend: needs }, backend);
      assert.equal(unfit?.needs ?? null, needs === backend ? null : needs);
      assert.equal(unfit === null, needs === backend);
    }
  }
  const { problem } = unfitness({ ...plain, backend: "libvirt" }, "noop") ?? {};
  assert.equal(problem, "The image needs a host with backend libvirt; this host has noop.");
});

test("an image without a backend runs wherever the backend supports it; otherwise all reasons are reported", () => {
  for (const backend of backends) assert.equal(unfitness(plain, backend), null);
  const demanding = { ...plain, diskBus: "scsi", nicModel: "rtl8139", egress: "none" } as const;
  assert.equal(unfitness(demanding, "libvirt"), null);
  assert.equal(unfitness(demanding, "noop"), null);
  assert.deepEqual(unfitness(demanding, "zones"), {
    needs: null,
    problem:
      "Backend zones does not support disk_bus: scsi; use disk_bus: virtio or sata. " +
      "Backend zones does not support nic_model: rtl8139; use nic_model: virtio or e1000. " +
      "Backend zones cannot enforce egress: none; use egress: open. " +
      "Or set backend: libvirt, so that only such hosts run the image.",
  });
  assert.match(
    unfitness({ ...plain, egress: ["10.0.0.0/8"] }, "zones")?.problem ?? "",
    /egress: with ranges/,
  );
});

test("the problem of an image that its own backend does not support has a remedy", () => {
  const image = { ...plain, backend: "zones", nicModel: "rtl8139" } as const;
  assert.deepEqual(unfitness(image, "zones"), {
    needs: null,
    problem:
      "Backend zones does not support nic_model: rtl8139; use nic_model: virtio or e1000. " +
      "Or set backend: libvirt, so that only such hosts run the image.",
  });
});

test("the expected backend of a host is the configured one, or the one that auto selects on its platform", () => {
  assert.equal(expectedBackend("auto", "linux"), "libvirt");
  assert.equal(expectedBackend("auto", "sunos"), "zones");
  for (const configured of backends) assert.equal(expectedBackend(configured, "linux"), configured);
});

test("no unfit image is started, explain agrees, and images of other backends are left to their hosts", () => {
  const arbitraryImages = fc.record({
    debian: arbitraryImage,
    "ubuntu-cloud": arbitraryImage,
    illumos: arbitraryImage,
  });
  const property = fc.property(
    arbitrarySnapshot,
    arbitraryImages,
    fc.constantFrom<Backend>(...backends),
    (queue, images, backend) => {
      const map = { images: new Map(Object.entries(images)) } as unknown as ImageMap;
      const served = imagesFor(map, backend).images;
      const snapshot = {
        ...queue,
        imageReady: (image: string) => served.has(image) && queue.imageReady(image),
      };
      const chosen = new Set(schedule(snapshot));
      for (const job of queue.queued) {
        const image = images[job.image as keyof typeof images];
        if (unfitness(image, backend) !== null) assert.ok(!chosen.has(job.id));
        if (chosen.has(job.id) && image.backend !== null) assert.equal(image.backend, backend);
        const rest = { recentDurations: [], paused: null, queuedIsCut: false, drain: null };
        const { constraint } = explain({ ...job, state: "queued" }, { ...snapshot, ...rest });
        assert.equal(constraint === "starting", chosen.has(job.id));
      }
    },
  );
  fc.assert(property);
});

test("the table of docs/reference/configuration.md lists the values that each backend supports", () => {
  const page = readFileSync(new URL("../../../docs/reference/configuration.md", import.meta.url), "utf8");
  const words = {
    seed: ["iso", "vfat", "cpio"],
    diskBus: ["virtio", "sata", "scsi", "ide"],
    nicModel: ["virtio", "e1000", "e1000e", "rtl8139"],
    firmware: ["bios", "efi"],
    egress: ["open", "none"],
  } as const;
  for (const backend of backends) {
    const row = new RegExp(`^\\| \`${backend}\` .*$`, "m").exec(page.split("### Which host runs")[1] ?? "");
    const cells = row?.[0].split("|").slice(2, -1) ?? [];
    const expected = Object.entries(words).map(([key, all]) => {
      const possible = all.filter((word) => unfitness({ ...plain, [key]: word }, backend) === null);
      return possible.length === all.length ? "all" : possible.map((word) => `\`${word}\``).join(", ");
    });
    assert.deepEqual(
      cells.map((cell) => cell.trim().replace(/, and .*/, "")),
      expected,
      backend,
    );
  }
});
