import type { LimitFunction } from "p-limit";
import type { ZonesConfig } from "../../config/zones-config.ts";
import type { WriteSeed } from "../hypervisor.ts";
import type { CommandHost } from "./commands.ts";
import type { ConsoleKeeper } from "./console/console-keeper.ts";
import type { ImageShelf } from "./pool/images.ts";
import type { ZoneWatch } from "./zone/zone-watch.ts";

/** Context of every operation of this backend. */
export interface ZonesHost extends CommandHost {
  readonly ownerId: string;
  readonly settings: ZonesConfig;
  readonly guestsDir: string;
  /** Bytes that must stay free in the pool when a guest is created. */
  readonly reserveBytes: number;
  readonly writeSeed: WriteSeed;
  readonly images: ImageShelf;
  readonly consoles: ConsoleKeeper;
  readonly watch: ZoneWatch;
  /** Pause between two observations of a guest that is being removed, in ms. */
  readonly observePauseMs: number;
  /** Slots are assigned one after the other. */
  readonly slotTurn: LimitFunction;
  /** The shutdowns in progress, by job. */
  readonly shutdowns: Map<string, AbortController>;
}
