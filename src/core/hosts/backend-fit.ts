import type { Egress } from "../image-map/egress.ts";
import type { ImageDefinition, ImageMap } from "../image-map/image-map.ts";
import { type Backend, backends } from "../job/job.ts";

/** Why a host does not run an image. */
export interface Unfit {
  /** The other backend that the image says it needs; null: its backend is this host's, which cannot make such a guest. */
  readonly needs: Backend | null;
  /** Sentences for a person: what does not go together, and what to change. */
  readonly problem: string;
}

/** The keys of an image that not every backend can honour. */
export type GuestTraits = Pick<ImageDefinition, "seed" | "diskBus" | "nicModel" | "firmware" | "egress">;

/** What guests a backend can make: of each key of the map the words that may stand there. */
interface Abilities extends Partial<Record<"seed" | "diskBus" | "nicModel" | "firmware", readonly string[]>> {
  /** Whether it can hold guests to an `egress` other than `open`. */
  readonly closesEgress: boolean;
}

/** A key that is absent takes every word. A new backend says here what it can do. */
const abilities: Readonly<Record<Backend, Abilities>> = {
  libvirt: { closesEgress: true },
  zones: {
    diskBus: ["virtio", "sata"],
    nicModel: ["virtio", "e1000"],
    closesEgress: false,
  },
  // Its guests are none: no key of an image means anything.
  noop: { closesEgress: true },
};

const keysOfMap = { seed: "seed", diskBus: "disk_bus", nicModel: "nic_model", firmware: "firmware" } as const;

/**
 * Tells what keeps a host with `backend` from running an image, or null where it fits. An image that names a backend runs on
 * hosts with that one only; one that names none runs on any host whose backend can make its guests.
 */
export function unfitness(
  image: GuestTraits & Pick<ImageDefinition, "backend">,
  backend: Backend,
): Unfit | null {
  if (image.backend !== null && image.backend !== backend) {
    return {
      needs: image.backend,
      problem: `It needs a host with backend ${image.backend}, and this one has ${backend}.`,
    };
  }
  const problems = problemsWith(image, backend);
  if (problems.length === 0) return null;
  return { needs: null, problem: `${problems.join(" ")}${otherwise(image, backend)}` };
}

/** The backend that a host has, where it was not looked at: the one asked for, or what `auto` finds on its platform. */
export function expectedBackend(asked: Backend | "auto", platform: string): Backend {
  if (asked !== "auto") return asked;
  // Node says sunos on illumos.
  return platform === "sunos" ? "zones" : "libvirt";
}

/** The map with only those images that a host with `backend` runs; its labels may lead to others. */
export function imagesFor(map: ImageMap, backend: Backend): Pick<ImageMap, "images"> {
  return { images: new Map([...map.images].filter(([, image]) => unfitness(image, backend) === null)) };
}

/** Every key that `backend` cannot honour, with what may stand there. */
function problemsWith(image: GuestTraits, backend: Backend): string[] {
  const { closesEgress, ...words } = abilities[backend];
  const problems = [];
  for (const key of ["seed", "diskBus", "nicModel", "firmware"] as const) {
    const possible = words[key] ?? [image[key]];
    if (possible.includes(image[key])) continue;
    const name = keysOfMap[key];
    problems.push(
      `Backend ${backend} cannot make guests with ${name}: ${image[key]}; say ${name}: ${possible.join(" or ")}.`,
    );
  }
  if (!closesEgress && image.egress !== "open") {
    problems.push(
      `Backend ${backend} cannot hold guests to egress: ${egressText(image.egress)}; say egress: open.`,
    );
  }
  return problems;
}

function egressText(egress: Egress): string {
  return typeof egress === "string" ? egress : "with ranges";
}

/** Where the image was not meant for this host at all. */
function otherwise(image: GuestTraits, backend: Backend): string {
  const able = backends.filter(
    (other) => other !== backend && other !== "noop" && problemsWith(image, other).length === 0,
  );
  return able.length === 0 ? "" : ` Or say backend: ${able.join(" or ")}, to keep it for such hosts.`;
}
