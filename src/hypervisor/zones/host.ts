import type { LimitFunction } from "p-limit";
import type { ZonesConfig } from "../../config/zones-config.ts";
import type { WriteSeed } from "../hypervisor.ts";
import type { CommandHost } from "./commands.ts";
import type { ConsoleKeeper } from "./console/console-keeper.ts";
import type { ImageShelf } from "./pool/images.ts";
import type { ZoneWatch } from "./zone/zone-watch.ts";

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
  /** Between two looks at a guest that is on its way to be gone, in ms. */
  readonly lookPauseMs: number;
  /** Slots are given one after the other. */
  readonly slotTurn: LimitFunction;
  /** The shutdowns that are under way, by job. */
  readonly shutdowns: Map<string, AbortController>;
}
