const longestName = 63;

/** True when a zone may have this name (zonecfg(8), zonecfg_validate_zonename of libzonecfg). */
export function isZoneName(name: string): boolean {
  if (name.length > longestName || !/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name)) return false;
  return name !== "global" && !name.startsWith("SUNW");
}
