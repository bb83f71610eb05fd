import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { openStandIn, type StandIn } from "./stand-in.ts";
import { installWaitingZone, must, refuses, runIn, zoneCommands } from "./testing.ts";

let standIn: StandIn;
before(async () => {
  standIn = await openStandIn();
  await must(standIn, "zfs", "create", "rpool/zones");
});
after(() => standIn.close());

const zonecfg = (zone: string, commands: string, ...expected: (string | number)[]) =>
  refuses(standIn, ["zonecfg", "-z", zone, commands], ...expected);
const configured = (zone: string) => standIn.zones().some(({ name }) => name === zone);

test("names: a letter or digit first, at most 63 characters, no reserved name", async () => {
  for (const name of ["-a", "a b", "SUNWx", "a".repeat(64)])
    await zonecfg(name, "create", 2, `${name}: Bogus zone name`);
  assert.equal((await runIn(standIn, "zonecfg", "info")).exitCode, 2);
});

test("words may come as one argument or as many, and in quotes", async () => {
  const words = zoneCommands(standIn, "words")
    .split(" ")
    .filter((word) => word !== "");
  await must(
    standIn,
    "zonecfg",
    "-z",
    "words",
    ...words,
    'add attr; set name=a; set type=string; set value="x y;z=(1)"; end',
  );
  assert.match(
    await must(standIn, "zonecfg", "-z", "words", "info attr name=a"),
    /^attr:\n\tname: a\n\ttype: string\n\tvalue: "x y;z=\(1\)"\n$/,
  );
  assert.equal(
    await must(standIn, "zonecfg", "-z", "words", "info", "attr", "name=b"),
    "No such attr resource.\n",
  );
  assert.match(
    await must(standIn, "zonecfg", "-z", "words", "info zonepath"),
    /^zonepath: .*\/rpool\/zones\/words\n$/,
  );
});

test("a value that is a word of the language needs quotes; commas do not", async () => {
  const attr = (value: string) =>
    zoneCommands(standIn, "quotes", `add attr; set name=x; set type=string; set value=${value}; end`);
  await zonecfg(
    "quotes",
    attr("net"),
    1,
    "syntax error at 'net'",
    "value not specified",
    "Resource incomplete.",
  );
  assert.ok(!configured("quotes"));
  await must(standIn, "zonecfg", "-z", "quotes", attr('"net"'));
  await must(standIn, "zonecfg", "-z", "quotes", attr("socket,/tmp/vm.com1,wait"));
});

test("the output of export makes the same zone again", async () => {
  const more =
    "add net; set physical=ci7; end; add fs; set dir=/a; set special=/b; set type=lofs; add options ro; add options nodevices; end";
  await must(standIn, "zonecfg", "-z", "first", zoneCommands(standIn, "first", more));
  const file = join(standIn.directory, "export");
  await writeFile(file, await must(standIn, "zonecfg", "-z", "first", "export"));
  await must(standIn, "zonecfg", "-z", "second", "-f", file);
  const configs = standIn.zones().filter(({ name }) => name === "first" || name === "second");
  assert.deepEqual(configs[0]?.config, configs[1]?.config);
});

test("a resource that is incomplete is refused, and nothing is saved", async () => {
  const attempt = (more: string, ...expected: string[]) =>
    zonecfg("partial", zoneCommands(standIn, "partial", more), 1, ...expected, "Resource incomplete.");
  await attempt("add net; end", "physical not specified");
  await attempt("add device; end", "match not specified");
  await attempt("add fs; set dir=/x; end", "special not specified", "type not specified");
  await attempt("add fs; set dir=x; set special=/x; set type=lofs; end", "dir x is not an absolute path.");
  await attempt(
    "add attr; set name=a_b; set type=string; set value=1; end",
    "Invalid attr name a_b: can only contain alpha-numeric characters, plus '-' and '.'.",
  );
  await attempt("add attr; set name=a; set type=int; set value=x; end", "invalid attr value for type=int");
  await attempt("add attr; set name=a; set type=float; set value=1; end", "invalid attr type 'float'");
  await attempt("add net; set dir=/x", "dir: No such property type");
  await attempt("add device; set match=/x");
  assert.ok(!configured("partial"));
});

test("an error does not prevent the other commands of a line from being saved (cleanup of zonecfg.c)", async () => {
  await zonecfg(
    "kept",
    zoneCommands(standIn, "kept", "set nonsense=1; set bootargs=-v"),
    1,
    "syntax error at 'nonsense'",
  );
  assert.equal(standIn.zones().find(({ name }) => name === "kept")?.config.properties.bootargs, "-v");
});

test("invalid values", async () => {
  await must(standIn, "zonecfg", "-z", "v", zoneCommands(standIn, "v"));
  await zonecfg("v", "set zonepath=x", 1, "x is not an absolute path.");
  await zonecfg("v", "set ip-type=none", 1, "ip-type value must be 'shared' or 'exclusive'.");
  await zonecfg("v", "set autoboot=1", 1, "autoboot value must be 'true' or 'false'.");
  await zonecfg("v", "set match=/x", 1, "Cannot set a resource-specific property from the global scope.");
  await zonecfg("v", "end", 1, "The end command only makes sense in the resource scope.");
  await zonecfg("v", "frobnicate", 1, "syntax error at 'frobnicate'");
  await zonecfg("v", "remove net", 1, "remove net: No such entry");
  await zonecfg("v", "select attr name=x", 1, "select attr: No such resource with that id");
  await zonecfg(
    "v",
    "set brand=none",
    1,
    "v: unknown brand.",
    "",
    "Zone v failed to verify",
    "v: Invalid document",
    "Configuration not saved.",
  );
  await zonecfg(
    "v",
    "set ip-type=shared",
    1,
    "bhyve zones require an exclusive IP stack",
    "Zone v failed to verify",
    "v: Brand-specific error",
    "Configuration not saved.",
  );
  const twice = "add device; set match=/d; end; add device; set match=/d; end";
  await zonecfg(
    "v",
    twice,
    1,
    "A device resource with the match '/d' already exists.",
    "Resource incomplete.",
  );
});

test("resources are selected, changed and removed", async () => {
  const two =
    "add attr; set name=a; set type=string; set value=1; end; add attr; set name=b; set type=string; set value=2; end";
  await must(standIn, "zonecfg", "-z", "change", zoneCommands(standIn, "change", two));
  await must(standIn, "zonecfg", "-z", "change", "select attr name=a; set value=3; end");
  await zonecfg(
    "change",
    "remove attr",
    1,
    "There are multiple instances of this resource.  Either qualify the resource to",
    "remove a single instance or use the -F option to remove all instances.",
  );
  await must(standIn, "zonecfg", "-z", "change", "remove attr name=b");
  assert.match(
    await must(standIn, "zonecfg", "-z", "change", "info attr"),
    /^attr:\n\tname: a\n\ttype: string\n\tvalue: 3\n$/,
  );
});

test("create over a zone: -F replaces a configured zone, not an installed one", async () => {
  await must(standIn, "zonecfg", "-z", "over", zoneCommands(standIn, "over"));
  await zonecfg(
    "over",
    "create",
    1,
    "Zone exists, input not from terminal and -F not specified:",
    "create command ignored, exiting.",
  );
  await must(standIn, "zonecfg", "-z", "over", zoneCommands(standIn, "over"));
  await must(standIn, "zoneadm", "-z", "over", "install");
  await zonecfg("over", "create -F", 0, "Zone over already installed; create not allowed.");
  await zonecfg("over", "set brand=bhyve", 0, "Zone over already installed; set brand not allowed.");
});

test("delete: needs -F, removes an installed zone too, but not a running one", async () => {
  const absent = "none: No such zone configured";
  await zonecfg("none", "delete -F", 1, absent, absent);
  await zonecfg("none", "info", 1, absent);
  await must(standIn, "zonecfg", "-z", "gone", zoneCommands(standIn, "gone"));
  await zonecfg(
    "gone",
    "delete",
    1,
    "Input not from terminal and -F not specified:",
    "delete command ignored, exiting.",
  );
  await must(standIn, "zoneadm", "-z", "gone", "install");
  await must(standIn, "zonecfg", "-z", "gone", "delete -F");
  assert.ok(!configured("gone"));
  assert.ok(
    standIn.datasets().some(({ name }) => name === "rpool/zones/gone"),
    "its zonepath stays",
  );
  await installWaitingZone(standIn, "runs");
  await must(standIn, "zoneadm", "-z", "runs", "boot");
  await zonecfg("runs", "delete -F", 1, "runs: Zone state is invalid for the requested operation");
});
