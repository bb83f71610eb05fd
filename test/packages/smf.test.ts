import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { XMLParser, XMLValidator } from "fast-xml-parser";
import { judgeFilter, judgeNat } from "../../src/cli/doctor/zones/outbound-checks.ts";
import { exitCodes } from "../../src/cli/print/exit-codes.ts";
import { loadOrchestratorConfig } from "../../src/config/load-orchestrator-config.ts";
import { orchestratorOptions } from "../../src/config/options/options.ts";
import { subnetText } from "../../src/config/zones-config.ts";
import { until } from "../support/until.ts";

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
const methodPath = fileURLToPath(new URL("../../deploy/smf/solstice-orchestrator.sh", import.meta.url));
const manifest = read("deploy/smf/solstice-orchestrator.xml");

interface Element {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: readonly Element[];
}

/**
 * The part of service_bundle.dtd.1 that the manifest uses: the order of children, and the attributes (`!`: required).
 */
const models: Readonly<Record<string, { children: RegExp; attributes: string }>> = {
  service_bundle: { children: /^(service )*$/, attributes: "type! name!" },
  service: {
    children:
      /^(create_default_instance )?(single_instance )?(restarter )?(dependency )*(dependent )*(method_context )?(exec_method )*(property_group )*(instance )*(stability )?(template )?$/,
    attributes: "name! version! type!",
  },
  create_default_instance: { children: /^$/, attributes: "enabled!" },
  dependency: {
    children: /^(service_fmri )*(propval )*$/,
    attributes: "name! grouping! restart_on! type! delete",
  },
  service_fmri: { children: /^$/, attributes: "value!" },
  method_context: {
    children: /^(method_profile |method_credential )?(method_environment )?$/,
    attributes: "working_directory project resource_pool",
  },
  method_credential: { children: /^$/, attributes: "user! group supp_groups privileges limit_privileges" },
  method_environment: { children: /^(envvar )+$/, attributes: "" },
  envvar: { children: /^$/, attributes: "name! value!" },
  exec_method: {
    children: /^(method_context )?(stability )?(propval |property )*$/,
    attributes: "type! name! exec! timeout_seconds! delete",
  },
  property_group: { children: /^(stability )?(propval |property )*$/, attributes: "name! type! delete" },
  propval: { children: /^$/, attributes: "name! type! value! override" },
  stability: { children: /^$/, attributes: "value!" },
  template: { children: /^common_name (description )?(documentation )?(pg_pattern )*$/, attributes: "" },
  common_name: { children: /^(loctext )+$/, attributes: "" },
  description: { children: /^(loctext )+$/, attributes: "" },
  loctext: { children: /^$/, attributes: "xml:lang!" },
  documentation: { children: /^(doc_link |manpage )*$/, attributes: "" },
  doc_link: { children: /^$/, attributes: "name! uri!" },
};

function parseManifest(): Element {
  assert.equal(XMLValidator.validate(manifest), true);
  const options = { ignoreAttributes: false, attributeNamePrefix: "", preserveOrder: true, trimValues: true };
  const nodes = new XMLParser(options).parse(manifest) as Record<string, unknown>[];
  const root = nodes.find((node) => "service_bundle" in node);
  assert.ok(root);
  return elementOf(root);
}

function elementOf(node: Record<string, unknown>): Element {
  const name = Object.keys(node).find((key) => key !== ":@") ?? "";
  const inner = (node[name] ?? []) as Record<string, unknown>[];
  return {
    name,
    attributes: (node[":@"] ?? {}) as Record<string, string>,
    children: inner.filter((child) => !("#text" in child)).map(elementOf),
  };
}

function allElements(element: Element): Element[] {
  return [element, ...element.children.flatMap(allElements)];
}

test("the manifest conforms to the document type of service bundles", () => {
  for (const { name, attributes, children } of allElements(parseManifest())) {
    const model = models[name];
    assert.ok(model, `no element ${name}`);
    assert.match(children.map((child) => `${child.name} `).join(""), model.children, name);
    const known = model.attributes.split(" ");
    for (const attribute of Object.keys(attributes)) {
      assert.ok(known.includes(attribute) || known.includes(`${attribute}!`), `${name} has no ${attribute}`);
    }
    for (const attribute of known.filter((one) => one.endsWith("!"))) {
      assert.ok(attribute.slice(0, -1) in attributes, `${name} needs ${attribute}`);
    }
  }
});

test("the manifest: it restarts for ever and its stop timeout exceeds a drain; its method and example exist", () => {
  const elements = allElements(parseManifest());
  const named = (name: string, key: string) =>
    elements.find((one) => one.name === name && one.attributes.name === key)?.attributes ?? {};
  assert.equal(named("propval", "duration").value, "child");
  assert.equal(named("exec_method", "start").timeout_seconds, "0");
  const stop = named("exec_method", "stop");
  const [timeout, ownLimit] = [Number(stop.timeout_seconds), Number(/ -t (\d+) /.exec(stop.exec ?? "")?.[1])];
  const drainMinutes = Number(/^(\d+)m$/.exec(orchestratorOptions.drainTimeout.defaultText)?.[1]);
  assert.ok(ownLimit > drainMinutes * 60 + 120 && timeout > ownLimit, `${timeout} s, ${ownLimit} s`);
  for (const method of ["start", "stop", "refresh"]) {
    const { exec = "" } = named("exec_method", method);
    assert.ok(
      existsSync(new URL(`../..${exec.split(" ")[0]?.replace("/opt/solstice", "")}`, import.meta.url)),
      exec,
    );
  }
  const tokens = [...manifest.matchAll(/%\{([a-z_]+)\/([a-z_]+)\}/g)];
  for (const [, group = "", property = ""] of tokens) {
    assert.ok(named("property_group", group).name && named("propval", property).name, `${group}/${property}`);
  }
  assert.equal(elements.find((one) => one.name === "create_default_instance")?.attributes.enabled, "false");
});

test("the example of the environment names only variables that exist", () => {
  const variables = new Set<string>(Object.values(orchestratorOptions).map((option) => option.environment));
  const named = [...read("deploy/smf/orchestrator.env.example").matchAll(/^#?([A-Z_]+)=/gm)];
  assert.ok(named.length >= 8);
  for (const [, name = ""] of named) assert.ok(variables.has(name), `${name} is no variable`);
});

test("the example of filter and NAT: for the default network, closed except for the runner, every private range blocked", async () => {
  const { zones } = await loadOrchestratorConfig({}, {});
  const subnet = subnetText(zones.subnet);
  const rules = read("deploy/illumos/ipf.conf")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"));
  assert.equal(
    rules[0],
    `pass in quick on ${zones.vnic} proto tcp from ${subnet} to ${zones.gateway}/32 port = 7411 flags S keep state`,
  );
  assert.deepEqual(rules.slice(-2), [
    `pass in quick on ${zones.vnic} from ${subnet} to any keep state`,
    `block in quick on ${zones.vnic} all`,
  ]);
  const blocked = rules
    .slice(1, -2)
    .map((rule) => /^block in quick on (\S+) from any to (\S+)$/.exec(rule)?.slice(1));
  const ranges = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "169.254.0.0/16",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "224.0.0.0/3",
  ];
  assert.deepEqual(
    blocked,
    ranges.map((range) => [zones.vnic, range]),
  );
  const lines = read("deploy/illumos/ipnat.conf")
    .split("\n")
    .filter((line) => line.startsWith("map "));
  assert.equal(judgeNat(lines, zones, null).status, "ok");
  assert.equal(judgeFilter(rules, zones).status, "ok");
});

test("the command line starts in each shell that may be /bin/sh", () => {
  const command = fileURLToPath(new URL("../../bin/solstice", import.meta.url));
  for (const shell of shells)
    assert.match(execFileSync(shell, [command, "--version"], { encoding: "utf8" }), /^\d+\./);
});

const shells = ["dash", "bash", "ksh93", "mksh"];

/** A directory with a stand-in for `solstice`, which files control. */
class Place {
  readonly directory = mkdtempSync(join(tmpdir(), "solstice-smf-"));
  readonly environmentFile = join(this.directory, "orchestrator.env");
  readonly #started: ChildProcess[] = [];
  readonly #shell: string;

  constructor(context: TestContext, shell: string) {
    this.#shell = shell;
    context.after(() => {
      for (const child of this.#started) child.kill("SIGKILL");
      rmSync(this.directory, { recursive: true });
    });
  }

  /** `script` is the stand-in's code, in sh, run in its own directory. */
  solstice(script: string): void {
    const path = join(this.directory, "solstice");
    writeFileSync(path, `#!/bin/sh\ncd ${this.directory}\necho "$*" >arguments\n${script}\n`);
    chmodSync(path, 0o755);
  }

  run(method: string, options: { flags?: string[]; env?: Record<string, string> } = {}) {
    const { directory, environmentFile } = this;
    const args = ["-e", environmentFile, "-c", join(directory, "solstice"), "-r", directory, "-d", "0"];
    const env = { PATH: process.env.PATH ?? "", SMF_ZONENAME: "global", ...options.env };
    const child = spawn(this.#shell, [methodPath, ...args, ...(options.flags ?? []), method], {
      env,
      cwd: "/",
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#started.push(child);
    let output = "";
    child.stderr?.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
    const ended = once(child, "close").then(([code]) => code as number | null);
    return { child, ended, output: () => output };
  }

  has(name: string): boolean {
    return existsSync(join(this.directory, name));
  }

  text(name: string): string {
    return readFileSync(join(this.directory, name), "utf8");
  }
}

/** Ends at once on a stop signal, and records the number of signals. */
const patient = `env >environment
trap 'echo term >>terms; rm -f sleeper; exit 0' TERM
trap ': >hup' HUP
trap ': >usr2' USR2
: >ready
while :; do sleep 0.05; done`;

for (const shell of shells) {
  test(`${shell}: start stays and gives the environment on, no secret is in a list of processes; stop signals once`, async (t) => {
    const place = new Place(t, shell);
    place.solstice(patient);
    const url = "postgres://u:p&x y;$(id)`id`'\\@h/d?a=b";
    writeFileSync(
      place.environmentFile,
      `# comment\n\n; another\nDATABASE_URL=${url}\nAPI_TOKEN="quoted secret"\nMAX_CONCURRENCY='4'\nEMPTY=\nLAST=without a line's end`,
      { mode: 0o600 },
    );
    const start = place.run("start");
    await until("the stand-in is ready", () => place.has("ready"));
    const seen = place.text("environment").split("\n");
    for (const line of [
      `DATABASE_URL=${url}`,
      "API_TOKEN=quoted secret",
      "MAX_CONCURRENCY=4",
      "EMPTY=",
      "LAST=without a line's end",
    ]) {
      assert.ok(seen.includes(line), line);
    }
    assert.ok(!seen.some((line) => line.startsWith("SMF_")));
    assert.equal(place.text("arguments"), "orchestrator\n");
    const processes = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
    const commandLines = processes.map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8");
      } catch {
        return "";
      }
    });
    assert.ok(commandLines.some((line) => line.includes(place.directory)));
    assert.ok(!commandLines.some((line) => line.includes("quoted secret") || line.includes("u:p&x")));
    for (const [method, signal] of [
      ["refresh", "hup"],
      ["hand-over", "usr2"],
    ] as const) {
      assert.equal(await place.run(method).ended, 0);
      await until("the stand-in has the signal", () => place.has(signal));
    }
    const stop = place.run("stop");
    assert.equal(await stop.ended, 0);
    assert.equal(await start.ended, 0);
    assert.equal(place.text("terms"), "term\n");
    assert.equal(await place.run("refresh").ended, 0, "nothing runs any more, and nothing is signalled");
    assert.deepEqual(
      readdirSync(place.directory).filter((name) => name.endsWith(".pids")),
      [],
    );
  });

  test(`${shell}: a wrong configuration puts the service into maintenance (96), anything else starts it again`, async (t) => {
    const place = new Place(t, shell);
    place.solstice(`exit ${exitCodes.configInvalid}`);
    assert.equal(await place.run("start").ended, 96);
    place.solstice("exit 3");
    assert.equal(await place.run("start").ended, 3);
    place.solstice("kill -9 $$");
    const killed = await place.run("start").ended;
    assert.ok(killed !== 0 && killed !== 96, String(killed));
    rmSync(join(place.directory, "solstice"));
    const missing = place.run("start");
    assert.equal(await missing.ended, 96);
    assert.match(missing.output(), /install Solstice there/);
  });

  test(`${shell}: a line without a variable is reported with its number, and without its content`, async (t) => {
    const place = new Place(t, shell);
    place.solstice("exit 0");
    for (const line of ["API TOKEN=s3cret", "s3cret", "=s3cret", "1A=s3cret", "a$(s3cret)=x"]) {
      writeFileSync(place.environmentFile, `MAX_HOLDS=1\n${line}\n`, { mode: 0o600 });
      const start = place.run("start");
      assert.equal(await start.ended, 96, line);
      assert.match(start.output(), /orchestrator\.env:2: /);
      assert.doesNotMatch(start.output(), /s3cret/);
      assert.equal(place.has("arguments"), false);
    }
    writeFileSync(place.environmentFile, "MAX_HOLDS=1\n");
    chmodSync(place.environmentFile, 0o644);
    const open = place.run("start");
    assert.equal(await open.ended, 0);
    assert.match(open.output(), /can be read by others.*chmod 600/);
  });

  test(`${shell}: stop without a service is well; one that does not end is killed after its time`, async (t) => {
    const place = new Place(t, shell);
    place.solstice("trap '' TERM\n: >ready\nwhile :; do sleep 0.05; done");
    assert.equal(await place.run("stop").ended, 0);
    const start = place.run("start");
    await until("the stand-in is ready", () => place.has("ready"));
    const pids = place.text("solstice-orchestrator.pids").trim().split(" ").map(Number);
    assert.deepEqual([pids.length, pids[0]], [2, start.child.pid]);
    const stop = place.run("stop", { flags: ["-t", "1"] });
    assert.equal(await stop.ended, 0);
    assert.match(stop.output(), /did not end within 1 s, and is killed/);
    await start.ended;
    await until("the stand-in is gone", () => !existsSync(`/proc/${pids[1]}`));
  });

  test(`${shell}: a process of another contract, which has the noted number now, is left alone`, async (t) => {
    const place = new Place(t, shell);
    const bystander = spawn("sleep", ["60"]);
    t.after(() => bystander.kill());
    writeFileSync(join(place.directory, "solstice-orchestrator.pids"), `${bystander.pid} 1\n`);
    for (const [name, text] of [
      ["svcprop", "71"],
      ["ps", "  99"],
    ] as const) {
      writeFileSync(join(place.directory, name), `#!/bin/sh\necho '${text}'\n`);
      chmodSync(join(place.directory, name), 0o755);
    }
    const env = {
      PATH: `${place.directory}:${process.env.PATH}`,
      SMF_FMRI: "svc:/application/solstice/orchestrator:default",
    };
    assert.equal(await place.run("stop", { env }).ended, 0);
    assert.equal(bystander.exitCode ?? bystander.signalCode, null);
    execFileSync("kill", ["-0", String(bystander.pid)]);
  });
}
