import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { gunzipSync } from "node:zlib";
import { parse } from "yaml";
import { isSolsticeError } from "../../core/errors.ts";
import { runCommand } from "../../host/command.ts";
import { buildSeed } from "./seed.ts";
import { isoTools, writeSeed, writeSeedIso } from "./seed-image.ts";
import { networkConfigVersion2 } from "./static-network.ts";

const input = {
  jobId: "0abc",
  attempt: 3,
  hostName: "job-0abc",
  form: "iso",
  runnerUrl: "http://192.168.122.1:7411/",
  bootstrapToken: "a'b $(id)",
} as const;

const network = {
  macAddress: "02:08:20:00:0a:07",
  address: "10.88.0.10",
  prefix: 24,
  gateway: "10.88.0.1",
  nameservers: ["9.9.9.9"],
};

let directory: string;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), "solstice-seed-"));
});
after(() => rm(directory, { recursive: true }));

test("user-data has the files and boot.sh for cloud-init, and nothing else", () => {
  const { seed, files } = buildSeed(input);
  assert.ok(seed.userData.startsWith("#cloud-config\n"));
  const { write_files: written, ...rest } = parse(seed.userData);
  assert.deepEqual(rest, {
    cloud_init_modules: ["growpart", "resizefs", "write_files", "bootcmd"],
    cloud_config_modules: [],
    cloud_final_modules: [],
    bootcmd: [["sh", "/run/solstice/boot.sh"]],
  });
  const decoded = written.map(({ content, encoding, ...file }: { content: string; encoding: string }) => {
    assert.equal(encoding, "gz+b64");
    return { ...file, content: gunzipSync(Buffer.from(content, "base64")).toString() };
  });
  assert.deepEqual(decoded, files);
});

test("every line of write_files has the form that the tiny guest reads", () => {
  const lines = buildSeed(input).seed.userData.split("\n");
  const section = lines.slice(lines.indexOf("write_files:") + 1, lines.indexOf("bootcmd:"));
  const forms = [
    /^ {2}- path: \/run\/solstice\/[a-z.-]+$/,
    /^ {4}permissions: "0[67]00"$/,
    /^ {4}encoding: gz\+b64$/,
    /^ {4}content: [A-Za-z0-9+/]+=*$/,
  ];
  section.forEach((line, at) => {
    assert.match(line, forms[at % forms.length] ?? /^$/);
  });
});

test("each attempt has a new instance id", () => {
  assert.equal(buildSeed(input).seed.metaData, "instance-id: 0abc-3\nlocal-hostname: job-0abc\n");
});

test("the token reaches the shell unchanged", async () => {
  const conf = buildSeed(input).files.find(({ path }) => path === "/run/solstice/runner.conf");
  assert.equal(conf?.permissions, "0600");
  const script = `${conf?.content}printf '%s|%s' "$RUNNER_URL" "$BOOTSTRAP_TOKEN"`;
  const { stdout } = await runCommand("sh", ["-s"], { input: script });
  assert.equal(stdout, "http://192.168.122.1:7411|a'b $(id)");
});

test("a host name that would break the seed is rejected", () => {
  assert.throws(
    () => buildSeed({ ...input, hostName: "a\nb: c" }),
    (error) => isSolsticeError(error, "usage"),
  );
});

for (const tool of isoTools) {
  test(`${tool[0]} makes an image with its label and long names, readable only for its owner`, async (context) => {
    const path = join(directory, `${tool[0]}.iso`);
    const { seed } = buildSeed(input);
    try {
      await writeSeedIso(path, { ...seed, network }, { tools: [tool] });
    } catch (error) {
      if (isSolsticeError(error, "host_missing_tool")) return context.skip(`${tool[0]} is not installed`);
      throw error;
    }
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    const image = await readFile(path);
    // ISO 9660: the primary volume descriptor is sector 16, its volume label at byte 40.
    assert.equal(image.toString("latin1", 16 * 2048 + 1, 16 * 2048 + 6), "CD001");
    assert.equal(image.toString("latin1", 16 * 2048 + 40, 16 * 2048 + 72).trim(), "cidata");
    assert.ok(image.includes(seed.userData) && image.includes(seed.metaData));
    assert.ok(image.includes(networkConfigVersion2(network)));
    assert.ok(image.includes("user-data"), "the long name of Rock Ridge");
    assert.ok(image.includes(Buffer.from("user-data", "utf16le").swap16()), "the long name of Joliet");
  });
}

test("without a program that makes an ISO, the error names a package, and no file is left", async () => {
  const tools = [["solstice-no-such-tool"]] as const;
  const path = join(directory, "none", "seed.iso");
  await mkdir(join(directory, "none"));
  await assert.rejects(
    writeSeedIso(path, buildSeed(input).seed, { tools }),
    (error) => isSolsticeError(error, "host_missing_tool") && error.remedy?.includes("genisoimage") === true,
  );
  assert.deepEqual(await readdir(join(directory, "none")), []);
});

const forScripts = (form: "vfat" | "cpio") => buildSeed({ ...input, form }).seed;

test("a FAT image has a script for metadata-agent, and vendor-data with the same effect for cloud-init", () => {
  const seed = forScripts("vfat");
  assert.ok(seed.userData.startsWith("#!/bin/sh\n"));
  assert.deepEqual(JSON.parse(seed.metaData), { "instance-id": "0abc-3", "local-hostname": "job-0abc" });
  const { bootcmd, ...rest } = parse(seed.vendorData ?? "");
  assert.ok(seed.vendorData?.startsWith("#cloud-config\n"));
  const mark = "/run/solstice/started-0abc-3";
  assert.deepEqual(bootcmd, [["sh", "-c", `mkdir ${mark} && exec sh /run/solstice/boot.sh`]]);
  assert.ok(seed.userData.includes(`mark='${mark}'\n`), "the second to run finds the mark of the first");
  const { bootcmd: _, ...iso } = parse(buildSeed(input).seed.userData);
  assert.deepEqual(rest, iso);
});

test("a FAT image on disk is complete, has the seed's documents, and is readable only for its owner", async () => {
  const path = join(directory, "seed.vfat");
  const seed = forScripts("vfat");
  await writeSeed(path, seed, "vfat");
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  const { stdout } = await runCommand("mdir", ["-b", "-i", path, "::"]);
  assert.equal(stdout, "::/meta-data\n::/user-data\n::/vendor-data\n");
  const copy = await runCommand("mtype", ["-i", path, "::user-data"]);
  assert.equal(copy.stdout, seed.userData);
});

test("an archive on disk has the form that metadata-agent detects, and is readable only for its owner", async () => {
  const path = join(directory, "seed.cpio");
  const seed = forScripts("cpio");
  await writeSeed(path, seed, "cpio");
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  const { stdout } = await runCommand("cpio", ["-i", "-t", "--quiet", "-I", path]);
  assert.equal(stdout, "nodename\nfirstboot.sh\n");
  const name = await runCommand("cpio", ["-i", "--quiet", "--to-stdout", "-I", path, "nodename"]);
  assert.equal(name.stdout, "job-0abc\n");
});

test("a seed that is too large for its form leaves no file behind", async () => {
  const seed = { ...forScripts("vfat"), userData: `#!/bin/sh\n${"#".repeat(9 * 1024 * 1024)}` };
  await mkdir(join(directory, "large"));
  for (const form of ["vfat", "cpio"] as const) {
    await assert.rejects(writeSeed(join(directory, "large", "seed"), seed, form), (error) =>
      isSolsticeError(error, "limit_exceeded"),
    );
  }
  assert.deepEqual(await readdir(join(directory, "large")), []);
});
