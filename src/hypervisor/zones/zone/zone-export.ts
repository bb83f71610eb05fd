/** What this backend reads of a zone's configuration. */
export interface ZoneConfiguration {
  /** The zone's own attributes (`attr` resources), by name. */
  readonly attributes: ReadonlyMap<string, string>;
  /** The link of its first `net` resource; null where it has none. */
  readonly link: string | null;
}

/** More of a configuration is not read: a zone of ours has some 60 lines. */
const maxLines = 10_000;

/**
 * Reads what `zonecfg export` prints: commands, one a line. They are what zonecfg(8) takes back, so they are stable, which the
 * words of `info` are not. Values come with or without quotation marks, by the version.
 */
export function parseZoneExport(text: string): ZoneConfiguration {
  const attributes = new Map<string, string>();
  let link: string | null = null;
  for (const { kind, properties } of resourcesOf(text)) {
    const name = properties.get("name");
    if (kind === "attr" && name !== undefined) attributes.set(name, properties.get("value") ?? "");
    if (kind === "net") link ??= properties.get("physical") ?? null;
  }
  return { attributes, link };
}

interface Resource {
  readonly kind: string;
  readonly properties: Map<string, string>;
}

function resourcesOf(text: string): Resource[] {
  const resources: Resource[] = [];
  let open: Resource | null = null;
  for (const line of text.split("\n", maxLines)) {
    const [, kind] = /^\s*add ([a-z-]+)\s*$/.exec(line) ?? [];
    // Within a resource `add` adds to one of its lists, and has an argument more.
    if (kind !== undefined && open === null) {
      open = { kind, properties: new Map() };
      resources.push(open);
    }
    if (/^\s*end\s*$/.test(line)) open = null;
    const [, name, value] = /^\s*set ([a-z-]+)=(.*)$/.exec(line) ?? [];
    if (name !== undefined && value !== undefined) open?.properties.set(name, unquoted(value));
  }
  return resources;
}

function unquoted(value: string): string {
  const trimmed = value.trim();
  return /^"(.*)"$/.exec(trimmed)?.[1] ?? trimmed;
}
