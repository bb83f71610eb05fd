import type { ZonesConfig } from "../../config/zones-config.ts";
import type { GuestSpec, Seed } from "../hypervisor.ts";
import type { CommandHost } from "./commands.ts";
import type { ConsoleKeeper } from "./console-keeper.ts";
import type { ImageShelf } from "./images.ts";
import type { Turns } from "./turns.ts";
import type { ZoneWatch } from "./zone-watch.ts";

/** Writes a seed in `format` to a file that does not exist yet. */
export type WriteSeed = (path: string, seed: Seed, format: GuestSpec["seedFormat"]) => Promise<void>;

/** What every operation of this backend works with. */
export interface ZonesHost extends CommandHost {
  readonly ownerId: string;
  readonly settings: ZonesConfig;
  readonly guestsDir: string;
  /** Bytes that must stay free in the pool when a guest is made. */
  readonly reserveBytes: number;
  readonly writeSeed: WriteSeed;
  readonly images: ImageShelf;
  readonly consoles: ConsoleKeeper;
  readonly watch: ZoneWatch;
  /** Slots are given one after the other. */
  readonly slotTurns: Turns;
  /** The shutdowns that are under way, by job. */
  readonly shutdowns: Map<string, AbortController>;
}
