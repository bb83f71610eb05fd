import type { Resource } from "../zones/records.ts";

/** The allowed and required properties of a kind of resource. */
export interface ResourceKind {
  readonly properties: readonly string[];
  readonly required: readonly string[];
  /** Properties with several values (`add options ro`). */
  readonly lists: readonly string[];
  /** The properties that identify a resource of this kind. */
  readonly key: readonly string[];
}

/** The supported resources of zonecfg(8). */
export const resourceKinds: Readonly<Record<string, ResourceKind>> = {
  fs: {
    properties: ["dir", "special", "raw", "type", "options"],
    required: ["dir", "special", "type"],
    lists: ["options"],
    key: ["dir"],
  },
  net: {
    properties: [
      "address",
      "allowed-address",
      "physical",
      "defrouter",
      "mac-addr",
      "vlan-id",
      "global-nic",
      "property",
    ],
    required: ["physical"],
    lists: ["property"],
    key: ["physical", "address"],
  },
  device: { properties: ["match", "property"], required: ["match"], lists: ["property"], key: ["match"] },
  attr: {
    properties: ["name", "type", "value"],
    required: ["name", "type", "value"],
    lists: [],
    key: ["name"],
  },
  dataset: { properties: ["name"], required: ["name"], lists: [], key: ["name"] },
  rctl: { properties: ["name", "value"], required: ["name", "value"], lists: ["value"], key: ["name"] },
  "capped-cpu": { properties: ["ncpus"], required: ["ncpus"], lists: [], key: [] },
  "capped-memory": { properties: ["physical", "swap", "locked"], required: [], lists: [], key: [] },
};

/** The supported global properties of zonecfg(8), with their defaults. */
export const globalProperties: Readonly<Record<string, string>> = {
  autoboot: "false",
  bootargs: "",
  pool: "",
  limitpriv: "",
  "scheduling-class": "",
  "ip-type": "shared",
  hostid: "",
  "fs-allowed": "",
  "cpu-shares": "",
  "max-lwps": "",
  "max-processes": "",
};

/** Errors of `end` about a resource; empty when it is complete. */
export function incompleteness({ type, properties }: Resource): string[] {
  const required = resourceKinds[type]?.required ?? [];
  const complaints = required
    .filter((name) => !properties[name]?.length)
    .map((name) => `${name} not specified`);
  if (type === "fs" && properties.dir && !String(properties.dir).startsWith("/")) {
    complaints.push(`dir ${properties.dir} is not an absolute path.`);
  }
  if (type === "attr") complaints.push(...attributeComplaints(properties));
  return complaints;
}

function attributeComplaints(properties: Resource["properties"]): string[] {
  const name = String(properties.name ?? "");
  const [type, value] = [String(properties.type ?? ""), String(properties.value ?? "")];
  const complaints: string[] = [];
  if (!/^[A-Za-z0-9]/.test(name)) {
    complaints.push(`Invalid attr name ${name}: must start with an alpha-numeric character.`);
  } else if (!/^[A-Za-z0-9.-]+$/.test(name)) {
    complaints.push(
      `Invalid attr name ${name}: can only contain alpha-numeric characters, plus '-' and '.'.`,
    );
  }
  const valid: Record<string, RegExp> = {
    string: /^[\s\S]{0,255}$/,
    boolean: /^(true|false)$/,
    int: /^-?\d+$/,
    uint: /^\d+$/,
  };
  const pattern = valid[type];
  if (!pattern) complaints.push(`invalid attr type '${type}'`);
  else if (!pattern.test(value)) complaints.push(`invalid attr value for type=${type}`);
  return complaints;
}

/** True when two resources have the same identity. */
export function isSame(a: Resource, b: Resource): boolean {
  const key = resourceKinds[a.type]?.key ?? [];
  return a.type === b.type && key.every((name) => (a.properties[name] ?? "") === (b.properties[name] ?? ""));
}

/** zonecfg's message about a duplicate resource. */
export function duplicateText({ type, properties }: Resource): string {
  const key = resourceKinds[type]?.key ?? [];
  const article = type === "attr" ? "An" : "A";
  const named = key.map((name) => `${name} '${properties[name] ?? ""}'`).join(", and ");
  return `${article} ${type} resource with the ${named} already exists.`;
}
