/** The parts of a zone's configuration that this backend reads. */
export interface ZoneConfiguration {
  /** The zone's own attributes (`attr` resources), by name. */
  readonly attributes: ReadonlyMap<string, string>;
  /** The link of its first `net` resource; null where it has none. */
  readonly link: string | null;
}

/** Limit of the lines that are read: our zones have some 60. */
const maxLines = 10_000;

/**
 * Parses the output of `zonecfg export`: commands, one per line. zonecfg(8) accepts them as input, so their form is
 * stable, unlike the text of `info`. Values have quotation marks or none, depending on the version.
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
    // Within a resource `add` adds to one of its lists, and has another argument.
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
