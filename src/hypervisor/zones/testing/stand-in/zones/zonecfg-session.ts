import type { Context } from "../host/context.ts";
import { change, exclusively, nextSerial } from "../host/state.ts";
import { isLocked } from "./lock.ts";
import { findZone, type Resource, stateOf, type ZoneConfig } from "./records.ts";
import { duplicateText, globalProperties, incompleteness, isSame, resourceKinds } from "./resources.ts";
import { exportLines, infoLines } from "./zonecfg-show.ts";
import type { Word } from "./zonecfg-words.ts";

/** What is wrong with one command: it is said, and the next command is run. */
class Complaint extends Error {}

/** A command that ends zonecfg at once, whatever was to follow. */
export class Exit extends Error {}

/** What `create` starts from. */
const blank: ZoneConfig = { brand: "", zonepath: "", properties: {}, resources: [] };
const templates: Record<string, ZoneConfig> = {
  SUNWblank: blank,
  SUNWdefault: { ...blank, properties: { "ip-type": "exclusive" } },
  OMNIdefault: { ...blank, properties: { "ip-type": "exclusive" } },
  SUNWbhyve: { ...blank, brand: "bhyve", properties: { "ip-type": "exclusive" } },
  OMNIbhyve: { ...blank, brand: "bhyve", properties: { "ip-type": "exclusive" } },
};

/** One run of zonecfg: what it has of a zone's configuration, until that is saved. */
export class Session {
  readonly context: Context;
  readonly zone: string;
  sawError = false;
  private config: ZoneConfig | null = null;
  private mustCommit = false;
  private editing: { resource: Resource; replaces: Resource | null } | null = null;

  constructor(context: Context, zone: string) {
    this.context = context;
    this.zone = zone;
  }

  /** Runs one command; what is wrong with it is said, and remembered. */
  run(words: readonly Word[]): void {
    const [name, ...rest] = words;
    const commands: Record<string, (rest: readonly Word[]) => void> = {
      create: (args) => this.create(args),
      set: (args) => this.set(args),
      add: (args) => this.add(args),
      remove: (args) => this.remove(args),
      select: (args) => this.select(args),
      clear: (args) => this.clear(args),
      end: () => this.end(),
      cancel: () => this.cancel(),
      info: (args) => this.info(args),
      export: () => this.export(),
      delete: (args) => this.delete(args),
      verify: () => this.verify(),
      commit: () => this.commit(),
      exit: () => {
        throw new Exit();
      },
    };
    const command = name && !name.isMark ? commands[name.text] : undefined;
    try {
      if (!command) throw new Complaint(`syntax error at '${name?.text ?? ""}'`);
      command(rest);
    } catch (error) {
      if (!(error instanceof Complaint)) throw error;
      this.complain(error.message);
    }
  }

  /** What zonecfg does when its commands are through: saves what was changed. The exit code. */
  finish(): number {
    if (this.editing) {
      this.complain("Resource incomplete.");
      return 1;
    }
    if (this.mustCommit) {
      this.run([{ text: "commit", isMark: false }]);
      if (this.mustCommit) this.complain("Configuration not saved.");
    }
    return this.sawError || this.mustCommit ? 1 : 0;
  }

  private complain(text: string): void {
    this.context.err(text);
    this.sawError = true;
  }

  /** The configuration to work on; null, and a word about it, when there is none. */
  private open(): ZoneConfig | null {
    if (this.config) return this.config;
    const found = findZone(this.context, this.zone);
    if (found) this.config = found.config;
    else this.complain(`${this.zone}: No such zone configured`);
    return this.config;
  }

  private create(args: readonly Word[]): void {
    const texts = args.map(({ text }) => text);
    if (!this.isGlobalScope("create")) return;
    const found = findZone(this.context, this.zone);
    if (found && !["configured", "incomplete"].includes(stateOf(found))) {
      this.context.err(`Zone ${this.zone} already installed; create not allowed.`);
      // create_func forgets to note this as an error; what follows works on the zone that is there.
      return;
    }
    if (found && !texts.includes("-F")) {
      this.complain(
        "Zone exists, input not from terminal and -F not specified:\ncreate command ignored, exiting.",
      );
      throw new Exit();
    }
    if (found) this.context.out(`Zone ${this.zone} already exists; overwriting.`);
    const named = texts.indexOf("-t") >= 0 ? texts[texts.indexOf("-t") + 1] : undefined;
    const template = named ?? (texts.includes("-b") ? "SUNWblank" : "SUNWdefault");
    const config = templates[template] ?? findZone(this.context, template)?.config;
    if (!config) throw new Complaint(`${template}: No such zone configured`);
    this.config = config;
    this.mustCommit = true;
  }

  private isGlobalScope(command: string): boolean {
    if (!this.editing) return true;
    this.complain(`The ${command} command only makes sense in the global scope.`);
    return false;
  }

  private set(args: readonly Word[]): void {
    const [name, equals, ...value] = args;
    if (!name || equals?.text !== "=" || value.length === 0) {
      throw new Complaint("usage:\nset <property-name>=<property-value>");
    }
    const config = this.open();
    if (!config) return;
    const text = readValue(value);
    if (text === null) throw new Complaint(`syntax error at '${value[0]?.text ?? ""}'`);
    if (this.editing) this.setInResource(name.text, text);
    else this.setGlobal(config, name.text, text);
  }

  private setInResource(name: string, text: string | readonly string[]): void {
    if (!this.editing) return;
    const { resource, replaces } = this.editing;
    const kind = resourceKinds[resource.type];
    if (!kind?.properties.includes(name)) {
      throw new Complaint(`${name}: No such property type for this resource`);
    }
    const value = kind.lists.includes(name) && typeof text === "string" ? [text] : text;
    this.editing = {
      resource: { ...resource, properties: { ...resource.properties, [name]: value } },
      replaces,
    };
  }

  private setGlobal(config: ZoneConfig, name: string, given: string | readonly string[]): void {
    const text = String(given);
    const state = findZone(this.context, this.zone);
    const installed = state && !["configured", "incomplete"].includes(stateOf(state));
    if (["zonepath", "brand", "ip-type"].includes(name) && installed && name !== "ip-type") {
      const verb = name === "zonepath" ? "Cannot set" : "Cannot set";
      throw new Complaint(`Zone ${this.zone} already installed; set ${name} not allowed.${verb ? "" : ""}`);
    }
    if (name === "zonepath") {
      if (!text.startsWith("/")) throw new Complaint(`${text} is not an absolute path.`);
      this.config = { ...config, zonepath: text };
    } else if (name === "brand") {
      this.config = { ...config, brand: text };
    } else if (name in globalProperties) {
      if (name === "ip-type" && !["shared", "exclusive"].includes(text)) {
        throw new Complaint("ip-type value must be 'shared' or 'exclusive'.");
      }
      if (name === "autoboot" && !["true", "false"].includes(text)) {
        throw new Complaint("autoboot value must be 'true' or 'false'.");
      }
      this.config = { ...config, properties: { ...config.properties, [name]: text } };
    } else {
      throw new Complaint(`${name}: No such property type for this resource`);
    }
    this.mustCommit = true;
  }

  private add(args: readonly Word[]): void {
    const config = this.open();
    if (!config) return;
    const [what, ...value] = args;
    if (this.editing) {
      this.addValue(what?.text ?? "", value);
      return;
    }
    if (!what || !resourceKinds[what.text] || value.length > 0) {
      throw new Complaint(`syntax error at '${(value[0] ?? what)?.text ?? ""}'`);
    }
    this.editing = { resource: { type: what.text, properties: {} }, replaces: null };
  }

  private addValue(name: string, value: readonly Word[]): void {
    if (!this.editing) return;
    const { resource, replaces } = this.editing;
    if (!resourceKinds[resource.type]?.lists.includes(name)) {
      throw new Complaint(`${name}: No such property type for this resource`);
    }
    const text = readValue(value);
    if (text === null) throw new Complaint(`syntax error at '${value[0]?.text ?? ""}'`);
    const before = resource.properties[name] ?? [];
    const values = [
      ...(typeof before === "string" ? [before] : before),
      ...(typeof text === "string" ? [text] : text),
    ];
    this.editing = {
      resource: { ...resource, properties: { ...resource.properties, [name]: values } },
      replaces,
    };
  }

  private matching(config: ZoneConfig, args: readonly Word[]): Resource[] {
    const [type, ...pairs] = args.filter(({ text }) => text !== "-F");
    const wanted: [string, string][] = [];
    for (let at = 0; at < pairs.length; at += 3)
      wanted.push([pairs[at]?.text ?? "", pairs[at + 2]?.text ?? ""]);
    return config.resources.filter(
      (one) => one.type === type?.text && wanted.every(([name, value]) => one.properties[name] === value),
    );
  }

  private select(args: readonly Word[]): void {
    const config = this.open();
    if (!config || !this.isGlobalScope("select")) return;
    const found = this.matching(config, args);
    const [first] = found;
    if (!first) throw new Complaint(`select ${args[0]?.text ?? ""}: No such resource type`);
    if (found.length > 1) throw new Complaint(`select ${first.type}: Ambiguous resource specification`);
    this.editing = { resource: first, replaces: first };
  }

  private remove(args: readonly Word[]): void {
    const config = this.open();
    if (!config) return;
    if (this.editing) {
      this.removeValue(args);
      return;
    }
    const found = this.matching(config, args);
    const type = args.find(({ text }) => text !== "-F")?.text ?? "";
    if (found.length === 0) throw new Complaint(`remove ${type}: No such resource`);
    if (found.length > 1 && !args.some(({ text }) => text === "-F")) {
      this.complain(
        `Multiple ${type} resources exist, input not from terminal and -F not specified:\nremove command ignored.`,
      );
      return;
    }
    this.config = { ...config, resources: config.resources.filter((one) => !found.includes(one)) };
    this.mustCommit = true;
  }

  private removeValue(args: readonly Word[]): void {
    if (!this.editing) return;
    const [name, ...value] = args.map(({ text }) => text);
    const { resource, replaces } = this.editing;
    const values = ([] as string[]).concat(resource.properties[name ?? ""] ?? []);
    const kept = values.filter((one) => one !== value.join(""));
    if (kept.length === values.length) throw new Complaint(`${name}: No such property value`);
    this.editing = {
      resource: { ...resource, properties: { ...resource.properties, [name ?? ""]: kept } },
      replaces,
    };
  }

  private clear([name]: readonly Word[]): void {
    const config = this.open();
    if (!config || !name) return;
    if (this.editing) {
      const { resource, replaces } = this.editing;
      const { [name.text]: _, ...properties } = resource.properties;
      this.editing = { resource: { ...resource, properties }, replaces };
      return;
    }
    const { [name.text]: _, ...properties } = config.properties;
    this.config = { ...config, properties };
    this.mustCommit = true;
  }

  private end(): void {
    const config = this.open();
    if (!config) return;
    if (!this.editing) throw new Complaint("The end command only makes sense in the resource scope.");
    const { resource, replaces } = this.editing;
    const complaints = incompleteness(resource);
    for (const text of complaints) this.complain(text);
    if (complaints.length > 0) return;
    if (!replaces && config.resources.some((one) => isSame(one, resource))) {
      throw new Complaint(duplicateText(resource));
    }
    const resources = replaces
      ? config.resources.map((one) => (one === replaces ? resource : one))
      : [...config.resources, resource];
    this.config = { ...config, resources };
    this.editing = null;
    this.mustCommit = true;
  }

  private cancel(): void {
    if (!this.editing) throw new Complaint("The cancel command only makes sense in the resource scope.");
    this.editing = null;
  }

  private info(args: readonly Word[]): void {
    const config = this.open();
    if (!config) return;
    const type = args[0]?.text ?? null;
    for (const line of infoLines(this.zone, config, { type, pairs: args.slice(1) })) this.context.out(line);
  }

  private export(): void {
    const config = this.open();
    if (!config) return;
    for (const line of exportLines(config)) this.context.out(line);
  }

  private delete(args: readonly Word[]): void {
    const isForced = args.some(({ text }) => text === "-F");
    const found = findZone(this.context, this.zone);
    if (!found) {
      // delete_func opens the configuration, and says so itself as well.
      this.complain(`${this.zone}: No such zone configured`);
      throw new Complaint(`${this.zone}: No such zone configured`);
    }
    if (!isForced) {
      this.complain("Input not from terminal and -F not specified:\ndelete command ignored, exiting.");
      throw new Exit();
    }
    this.context.halfway();
    exclusively(this.context.database, () => {
      const now = findZone(this.context, this.zone);
      if (!now) return;
      if (stateOf(now) !== "configured" && stateOf(now) !== "incomplete") {
        throw new Complaint(`${this.zone}: Zone state is invalid for the requested operation`);
      }
      if (isLocked(this.context, this.zone)) throw new Complaint(`${this.zone}: Could not acquire lock`);
      change(this.context.database, "DELETE FROM zones WHERE name = ?", this.zone);
    });
    this.config = null;
    this.mustCommit = false;
  }

  private verify(): boolean {
    const config = this.open();
    if (!config) return false;
    const complaints: string[] = [];
    if (!config.zonepath) complaints.push("zonepath cannot be empty.");
    if (!config.brand) complaints.push("brand cannot be empty.");
    const exclusive = (config.properties["ip-type"] ?? "shared") === "exclusive";
    for (const { type, properties } of config.resources) {
      if (type !== "net") continue;
      if (exclusive && properties.address)
        complaints.push("net: address cannot be specified for an exclusive IP type");
      if (!exclusive && !properties.address) complaints.push("net: address not specified");
      if (!exclusive && properties["allowed-address"]) {
        complaints.push("net: allowed-address cannot be specified for a shared IP type");
      }
    }
    if (config.brand === "bhyve" && !exclusive) complaints.push(`${this.zone}: ip-type must be exclusive`);
    for (const text of complaints) this.complain(text);
    return complaints.length === 0;
  }

  private commit(): void {
    if (!this.config) return;
    if (!this.verify()) {
      this.complain(`Zone ${this.zone} failed to verify`);
      throw new Complaint(`${this.zone}: Required resource missing`);
    }
    const { database } = this.context;
    const text = JSON.stringify(this.config);
    exclusively(database, () => {
      if (isLocked(this.context, this.zone)) throw new Complaint(`${this.zone}: Could not acquire lock`);
      const changed = change(database, "UPDATE zones SET config = ? WHERE name = ?", text, this.zone);
      if (changed === 0) {
        const serial = nextSerial(database);
        const sql =
          "INSERT INTO zones (name, serial, state, uuid, config) VALUES (?, ?, 'configured', '', ?)";
        change(database, sql, this.zone, serial, text);
      }
      this.mustCommit = false;
    });
  }
}

/** A simple value, a list `[a,b]`, or a complex value `(name=x,value=y)` as one text; null when it is none. */
function readValue(words: readonly Word[]): string | readonly string[] | null {
  const [first] = words;
  if (!first) return null;
  if (!first.isMark) return words.length === 1 ? first.text : null;
  if (first.text === "(") return words.map(({ text }) => text).join("");
  if (first.text !== "[" || words.at(-1)?.text !== "]") return null;
  return words
    .slice(1, -1)
    .filter(({ isMark }) => !isMark)
    .map(({ text }) => text);
}
