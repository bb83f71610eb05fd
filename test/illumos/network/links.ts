import type { Context } from "../host/context.ts";
import { row, rows } from "../host/state.ts";

/** A data link. */
export interface Link {
  readonly name: string;
  readonly class: "phys" | "etherstub" | "vnic";
  /** The link below a VNIC. */
  readonly over: string | null;
  readonly mac: string | null;
  readonly vid: number;
  /** 1: removed at the host's next boot. */
  readonly temporary: 0 | 1;
}

/** Finds a link by its name. */
export function findLink({ database }: Context, name: string): Link | undefined {
  return row<Link>(database, "SELECT * FROM links WHERE name = ?", name);
}

/** All links by name. */
export function allLinks({ database }: Context): Link[] {
  return rows<Link>(database, "SELECT * FROM links ORDER BY name");
}

/** A property of a link, as it was set. */
export function linkProperty({ database }: Context, link: string, name: string): string | undefined {
  const sql = "SELECT value FROM link_properties WHERE link = ? AND name = ?";
  return row<{ value: string }>(database, sql, link, name)?.value;
}

/**
 * True when a link may have this name: letters, digits and `_`, a digit at the end, at most 31 characters (dladm(8)).
 */
export function isLinkName(name: string): boolean {
  return (
    name.length <= 31 &&
    name.length >= 2 &&
    /^[A-Za-z][A-Za-z0-9_]*$/.test(name) &&
    /(^|[^0-9])(0|[1-9]\d*)$/.test(name)
  );
}
