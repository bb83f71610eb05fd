import type { Egress } from "../image-map/egress.ts";
import type { ImageDefinition, ImageMap } from "../image-map/image-map.ts";
import { type Backend, backends } from "../job/job.ts";

/** Reason why a host does not run an image. */
export interface Unfit {
  /**
   * The other backend that the image names; null: it names this host's backend or none, but this backend cannot create
   * such a guest.
   */
  readonly needs: Backend | null;
  /** Sentences for a person: the conflict, and what to change. */
  readonly problem: string;
}

/** The keys of an image that not every backend supports. */
export type GuestTraits = Pick<ImageDefinition, "seed" | "diskBus" | "nicModel" | "firmware" | "egress">;

/** The guests that a backend can create: for each key of the map, the supported values. */
interface Abilities extends Partial<Record<"seed" | "diskBus" | "nicModel" | "firmware", readonly string[]>> {
  /** True when it can enforce an `egress` other than `open`. */
  readonly closesEgress: boolean;
}

/** An absent key means that every value is supported. A new backend adds its abilities here. */
const abilities: Readonly<Record<Backend, Abilities>> = {
  libvirt: { closesEgress: true },
  zones: {
    diskBus: ["virtio", "sata"],
    nicModel: ["virtio", "e1000"],
    closesEgress: false,
  },
  // Has no real guests: the keys of an image have no effect.
  noop: { closesEgress: true },
};

const keysOfMap = { seed: "seed", diskBus: "disk_bus", nicModel: "nic_model", firmware: "firmware" } as const;

/**
 * The reason why a host with `backend` cannot run an image, or null when it can. An image that names a backend runs
 * only on hosts with that backend; an image without one runs on any host whose backend can create its guests.
 */
export function unfitness(
  image: GuestTraits & Pick<ImageDefinition, "backend">,
  backend: Backend,
): Unfit | null {
  if (image.backend !== null && image.backend !== backend) {
    return {
      needs: image.backend,
      problem: `The image needs a host with backend ${image.backend}; this host has ${backend}.`,
    };
  }
  const problems = problemsWith(image, backend);
  if (problems.length === 0) return null;
  return { needs: null, problem: `${problems.join(" ")}${otherwise(image, backend)}` };
}

/** The backend of a host without probing it: the configured one, or what `auto` selects on its platform. */
export function expectedBackend(configured: Backend | "auto", platform: string): Backend {
  if (configured !== "auto") return configured;
  // Node's platform on illumos is `sunos`.
  return platform === "sunos" ? "zones" : "libvirt";
}

/** The map with only the images that a host with `backend` runs; its labels may lead to other images. */
export function imagesFor(map: ImageMap, backend: Backend): Pick<ImageMap, "images"> {
  return { images: new Map([...map.images].filter(([, image]) => unfitness(image, backend) === null)) };
}

/** Every key that `backend` does not support, with the supported values. */
function problemsWith(image: GuestTraits, backend: Backend): string[] {
  const { closesEgress, ...words } = abilities[backend];
  const problems = [];
  for (const key of ["seed", "diskBus", "nicModel", "firmware"] as const) {
    const possible = words[key] ?? [image[key]];
    if (possible.includes(image[key])) continue;
    const name = keysOfMap[key];
    problems.push(
      `Backend ${backend} does not support ${name}: ${image[key]}; use ${name}: ${possible.join(" or ")}.`,
    );
  }
  if (!closesEgress && image.egress !== "open") {
    problems.push(`Backend ${backend} cannot enforce egress: ${egressText(image.egress)}; use egress: open.`);
  }
  return problems;
}

function egressText(egress: Egress): string {
  return typeof egress === "string" ? egress : "with ranges";
}

/** The other remedy: the image is meant for hosts with another backend. */
function otherwise(image: GuestTraits, backend: Backend): string {
  const able = backends.filter(
    (other) => other !== backend && other !== "noop" && problemsWith(image, other).length === 0,
  );
  return able.length === 0
    ? ""
    : ` Or set backend: ${able.join(" or ")}, so that only such hosts run the image.`;
}
