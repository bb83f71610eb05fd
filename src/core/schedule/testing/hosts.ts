import type { HostFacts, HostRecord } from "../../hosts/host-facts.ts";

/** A host as the store lists it, serving `images` under their own names, all ready. */
export function hostRecord(
  hostId: string,
  given: { images?: readonly string[]; facts?: Partial<HostFacts> } & Partial<Omit<HostRecord, "facts">> = {},
): HostRecord {
  const { images = [], facts, ...rest } = given;
  const defaults = { cpu: 1, ramMb: 512, diskGb: 4 };
  return {
    hostId,
    renewals: 1,
    renewedAt: 1_000_000_000,
    registeredAt: 0,
    lostAt: null,
    facts: {
      hostname: `${hostId}.example`,
      version: "1.0.0",
      startedAt: 0,
      backend: "noop",
      draining: false,
      drainRequestedAt: null,
      restartGraceSeconds: null,
      maxConcurrency: 4,
      maxHolds: 0,
      labelCaps: {},
      defaultLabel: images[0] ?? "",
      labels: Object.fromEntries(images.map((image) => [image, image])),
      sizes: {},
      images: Object.fromEntries(images.map((image) => [image, { defaults, ready: true }])),
      unfit: {},
      paused: null,
      apiUrl: null,
      ...facts,
    },
    ...rest,
  };
}
