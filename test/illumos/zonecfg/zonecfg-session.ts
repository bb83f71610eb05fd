import type { Context } from "../host/context.ts";
import { change, exclusively, nextSerial } from "../host/state.ts";
import { isAtLeastInstalled, stateOfName } from "../zones/at-least.ts";
import { Complaint, Exit, Remark } from "../zones/complaint.ts";
import { findZone, type Resource, type ZoneConfig } from "../zones/records.ts";
import { addedValue, matching, readValue, removedValue } from "./edit.ts";
import { duplicateText, incompleteness, isSame, resourceKinds } from "./resources.ts";
import { setGlobalProperty, templates } from "./zonecfg-globals.ts";
import { exportLines, infoLines } from "./zonecfg-show.ts";
import { verifyConfig } from "./zonecfg-verify.ts";
import { keywords, type Word } from "./zonecfg-words.ts";

/** One run of zonecfg: its copy of a zone's configuration, until that is saved (zonecfg.c). */
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

  /** Runs one command; prints and records its errors. */
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
      exit: (args) => this.exit(args),
    };
    const command = name && !name.isMark ? commands[name.text] : undefined;
    try {
      if (!command) throw new Complaint(`syntax error at '${name?.text ?? ""}'`);
      command(rest);
    } catch (error) {
      if (error instanceof Complaint) this.complain(error.message);
      else if (error instanceof Remark) this.context.err(error.message);
      else throw error;
    }
  }

  /**
   * The end of zonecfg after its commands (cleanup of zonecfg.c): saves the changes, also when some commands failed,
   * but not while a resource is incomplete. Returns the exit code.
   */
  finish(): number {
    if (this.editing) {
      this.complain("Resource incomplete.");
      return 1;
    }
    if (this.mustCommit) {
      this.run([{ text: "commit", isMark: false, isQuoted: false }]);
      if (this.mustCommit) this.complain("Configuration not saved.");
    }
    return this.sawError || this.mustCommit ? 1 : 0;
  }

  private complain(text: string): void {
    this.context.err(text);
    this.sawError = true;
  }

  /** The configuration that the commands change. */
  private open(): ZoneConfig {
    this.config ??= findZone(this.context, this.zone)?.config ?? null;
    if (!this.config) throw new Complaint(`${this.zone}: No such zone configured`);
    return this.config;
  }

  private keep(config: ZoneConfig): void {
    this.config = config;
    this.mustCommit = true;
  }

  private scope(command: string, wanted: "global" | "resource"): void {
    if ((this.editing === null) !== (wanted === "global")) {
      throw new Complaint(`The ${command} command only makes sense in the ${wanted} scope.`);
    }
  }

  private create(args: readonly Word[]): void {
    const texts = args.map(({ text }) => text);
    const found = findZone(this.context, this.zone);
    if (found && isAtLeastInstalled(found)) {
      throw new Remark(`Zone ${this.zone} already installed; create not allowed.`);
    }
    if (found && !texts.includes("-F")) {
      this.complain(
        "Zone exists, input not from terminal and -F not specified:\ncreate command ignored, exiting.",
      );
      throw new Exit();
    }
    if (found) this.context.out(`Zone ${this.zone} already exists; overwriting.`);
    const named = texts.includes("-t") ? texts[texts.indexOf("-t") + 1] : undefined;
    const template = named ?? (texts.includes("-b") ? "SUNWblank" : "SUNWdefault");
    const config = templates[template] ?? findZone(this.context, template)?.config;
    if (!config) throw new Complaint(`${template}: No such zone configured`);
    this.keep(config);
  }

  private set(args: readonly Word[]): void {
    const [name, equals, ...value] = args;
    if (!name || name.isMark || !keywords.has(name.text))
      throw new Complaint(`syntax error at '${name?.text ?? "\\n"}'`);
    if (equals?.text !== "=") throw new Complaint(`syntax error at '${equals?.text ?? "\\n"}'`);
    const given = readValue(value);
    const config = this.open();
    if (!this.editing) {
      const result = setGlobalProperty(config, name.text, {
        given,
        state: stateOfName(this.context, this.zone),
        zone: this.zone,
      });
      if ("remark" in result) throw new Remark(result.remark);
      this.keep(result.config);
      return;
    }
    const { resource, replaces } = this.editing;
    const kind = resourceKinds[resource.type];
    if (!kind?.properties.includes(name.text)) throw new Complaint(`${name.text}: No such property type`);
    const isList = kind.lists.includes(name.text);
    if (!isList && typeof given !== "string") throw new Complaint("A simple value was expected here.");
    const values = isList && typeof given === "string" ? [given] : given;
    this.editing = {
      resource: { ...resource, properties: { ...resource.properties, [name.text]: values } },
      replaces,
    };
  }

  private add(args: readonly Word[]): void {
    const [what, ...value] = args;
    this.open();
    if (this.editing) {
      const { resource, replaces } = this.editing;
      this.editing = { resource: addedValue(resource, what?.text ?? "", value), replaces };
      return;
    }
    if (!what || !resourceKinds[what.text] || value.length > 0) {
      throw new Complaint(`syntax error at '${(value[0] ?? what)?.text ?? "\\n"}'`);
    }
    this.editing = { resource: { type: what.text, properties: {} }, replaces: null };
  }

  private select(args: readonly Word[]): void {
    const config = this.open();
    this.scope("select", "global");
    const found = matching(config, args);
    const [first] = found;
    const type = args[0]?.text ?? "";
    if (!first) throw new Complaint(`select ${type}: No such resource with that id`);
    if (found.length > 1) throw new Complaint(`select ${type}: Insufficient specification`);
    this.editing = { resource: first, replaces: first };
  }

  private remove(args: readonly Word[]): void {
    const config = this.open();
    if (this.editing) {
      const { resource, replaces } = this.editing;
      this.editing = { resource: removedValue(resource, args), replaces };
      return;
    }
    const words = args.filter(({ text }) => text !== "-F");
    const found = matching(config, words);
    const type = words[0]?.text ?? "";
    const isQualified = words.length > 1;
    if (found.length === 0) {
      throw new Complaint(
        `remove ${type}: ${isQualified ? "No such resource with that id" : "No such entry"}`,
      );
    }
    if (found.length > 1 && isQualified) throw new Complaint(`remove ${type}: Insufficient specification`);
    if (found.length > 1 && words.length === args.length) {
      throw new Complaint(
        "There are multiple instances of this resource.  Either qualify the resource to\n" +
          "remove a single instance or use the -F option to remove all instances.",
      );
    }
    this.keep({ ...config, resources: config.resources.filter((one) => !found.includes(one)) });
  }

  private clear([name]: readonly Word[]): void {
    const config = this.open();
    if (!name) throw new Complaint("syntax error at '\\n'");
    const without = <T extends object>(properties: T): T =>
      Object.fromEntries(Object.entries(properties).filter(([key]) => key !== name.text)) as T;
    if (this.editing) {
      const { resource, replaces } = this.editing;
      this.editing = { resource: { ...resource, properties: without(resource.properties) }, replaces };
    } else {
      this.keep({ ...config, properties: without(config.properties) });
    }
  }

  private end(): void {
    this.scope("end", "resource");
    const config = this.open();
    if (!this.editing) return;
    const { resource, replaces } = this.editing;
    const complaints = incompleteness(resource);
    if (complaints.length > 0) throw new Complaint(complaints.join("\n"));
    if (!replaces && config.resources.some((one) => isSame(one, resource))) {
      throw new Complaint(duplicateText(resource));
    }
    const resources = replaces
      ? config.resources.map((one) => (one === replaces ? resource : one))
      : [...config.resources, resource];
    this.editing = null;
    this.keep({ ...config, resources });
  }

  private cancel(): void {
    this.scope("cancel", "resource");
    this.editing = null;
  }

  private exit(args: readonly Word[]): void {
    if (this.editing && !args.some(({ text }) => text === "-F")) {
      this.complain(
        "Resource incomplete, input not from terminal and -F not specified:\nexit command ignored, but exiting anyway.",
      );
    }
    throw new Exit();
  }

  private info(args: readonly Word[]): void {
    const config = this.open();
    const type = args[0]?.text ?? null;
    for (const line of infoLines(this.zone, config, { type, pairs: args.slice(1) })) this.context.out(line);
  }

  private export(): void {
    for (const line of exportLines(this.open())) this.context.out(line);
  }

  /** With -F, also deletes an incomplete or installed zone; its zonepath remains (zonecfg_destroy of libzonecfg). */
  private delete(args: readonly Word[]): void {
    const isForced = args.some(({ text }) => text === "-F");
    const found = findZone(this.context, this.zone);
    // initialize() prints the message, and zonecfg_destroy's error prints it again.
    const absent = `${this.zone}: No such zone configured`;
    if (!found) throw new Complaint(isForced ? `${absent}\n${absent}` : absent);
    if (!isForced) {
      this.complain("Input not from terminal and -F not specified:\ndelete command ignored, exiting.");
      throw new Exit();
    }
    this.context.halfway();
    exclusively(this.context.database, () => {
      const state = stateOfName(this.context, this.zone);
      if (state !== null && !["configured", "incomplete", "installed"].includes(state)) {
        throw new Complaint(`${this.zone}: Zone state is invalid for the requested operation`);
      }
      change(this.context.database, "DELETE FROM zones WHERE name = ?", this.zone);
    });
    this.config = null;
    this.mustCommit = false;
  }

  private verify(): void {
    const errors = verifyConfig(this.zone, this.open());
    if (errors) throw new Complaint(`${errors.complaints.join("\n")}\n${this.zone}: ${errors.summary}`);
  }

  private commit(): void {
    const config = this.open();
    const errors = verifyConfig(this.zone, config);
    if (errors) {
      const failed = `Zone ${this.zone} failed to verify`;
      throw new Complaint([...errors.complaints, failed, `${this.zone}: ${errors.summary}`].join("\n"));
    }
    const { database } = this.context;
    const text = JSON.stringify(config);
    exclusively(database, () => {
      if (change(database, "UPDATE zones SET config = ? WHERE name = ?", text, this.zone) > 0) return;
      const sql = "INSERT INTO zones (name, serial, state, uuid, config) VALUES (?, ?, 'configured', '', ?)";
      change(database, sql, this.zone, nextSerial(database), text);
    });
    this.mustCommit = false;
  }
}
