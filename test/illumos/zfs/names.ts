import { CommandFailure } from "../host/failure.ts";

const longestName = 255;

/** Refuses an invalid name as libzfs' zfs_validate_name does. */
export function checkName(name: string, action: string): void {
  const fail = (text: string): never => {
    throw new CommandFailure(`${action}: ${text}`);
  };
  if (name.length > longestName) fail("name is too long");
  if (name.startsWith("/")) fail("leading slash in name");
  if (name === "" || name.includes("//") || name.includes("/@")) fail("empty component in name");
  if (name.endsWith("/")) fail("trailing slash in name");
  const bad = /[^A-Za-z0-9_.:@/ -]/.exec(name)?.[0];
  if (bad !== undefined) fail(`invalid character '${bad}' in name`);
  if (name.split("@").length > 2) fail("multiple '@' and/or '#' delimiters in name");
}
