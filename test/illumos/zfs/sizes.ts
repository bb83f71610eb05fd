const units = ["", "K", "M", "G", "T", "P", "E"];

/** Reads a size as zfs does, `20G` or `1.5T` or bytes; null when it is invalid. */
export function parseSize(text: string): number | null {
  const match = /^(\d+(?:\.\d+)?)(?:([KMGTPE])(?:i?B)?|B)?$/i.exec(text.trim());
  if (!match) return null;
  const exponent = units.indexOf((match[2] ?? "").toUpperCase());
  const bytes = Math.floor(Number(match[1]) * 1024 ** exponent);
  return Number.isSafeInteger(bytes) ? bytes : null;
}

/** Writes a size as zfs shows it to people: at most five characters, in powers of 1024 (zfs_nicenum). */
export function niceSize(bytes: number): string {
  let exponent = 0;
  for (let rest = bytes; rest >= 1024; rest = Math.floor(rest / 1024)) exponent += 1;
  const value = bytes / 1024 ** exponent;
  const unit = units[exponent] ?? "";
  if (exponent === 0 || Number.isInteger(value)) return `${Math.floor(value)}${unit}`;
  for (const decimals of [2, 1, 0]) {
    const text = `${value.toFixed(decimals)}${unit}`;
    if (text.length <= 5) return text;
  }
  return `${value.toFixed(0)}${unit}`;
}
