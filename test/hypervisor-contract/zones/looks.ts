/** The read-only commands of illumos, by their arguments. */
export const looks: Readonly<Record<string, RegExp>> = {
  zoneadm: /^(-z \S+ )?list\b/,
  zonecfg: /^-z \S+ (export|info)\b/,
  zfs: /^(get|list)\b/,
  zpool: /^(get|list|status)\b/,
  dladm: /^show-/,
  ipadm: /^show-/,
  zonename: /^/,
};

/** True when a command changes nothing on its host. */
export function onlyLooks(command: string, args: readonly string[]): boolean {
  return looks[command]?.test(args.join(" ")) === true;
}
