import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { isSolsticeError } from "../../core/errors.ts";
import { imagesFor, unfitness } from "../../core/hosts/backend-fit.ts";
import { resolveLabel } from "../../core/image-map/labels.ts";
import { shippedImageMapPath } from "../load-orchestrator-config.ts";
import { parseImageMap } from "./parse-image-map.ts";

const places = { fileName: "/etc/solstice/map.yaml", dataDir: "/data" };

test("the shipped example is valid and has the usual labels", () => {
  const text = readFileSync(shippedImageMapPath, "utf8");
  const map = parseImageMap(text, { fileName: shippedImageMapPath, dataDir: "/data" });
  assert.equal(map.defaultLabel, "illumos-latest");
  const { label, image } = resolveLabel(map, undefined);
  assert.equal(label, "illumos-latest");
  assert.deepEqual(
    [image.name, image.source, image.decompress, image.nocloud, image.localPath],
    [
      "openindiana-hipster",
      "https://dlc.openindiana.org/isos/hipster/20250402/OI-hipster-cloudimage.img.zstd",
      "zstd",
      true,
      "/data/images/openindiana-hipster.img",
    ],
  );
  assert.equal(resolveLabel(map, "ubuntu-22.04").image.localPath, "/data/images/ubuntu-22.04.qcow2");
  assert.deepEqual(Object.fromEntries(map.sizes), {
    small: { cpu: 1, ramMb: 1024, diskGb: null },
    medium: { cpu: 2, ramMb: 2048, diskGb: null },
    large: { cpu: 4, ramMb: 4096, diskGb: null },
  });
});

test("the example for mixed hosts: each kind of host has images, and only images that it can run", () => {
  const fileName = join(dirname(shippedImageMapPath), "mixed-hosts-image-map.yaml");
  const map = parseImageMap(readFileSync(fileName, "utf8"), { fileName, dataDir: "/data" });
  const served = (backend: "libvirt" | "zones") => [...imagesFor(map, backend).images.keys()];
  assert.deepEqual(served("libvirt"), ["debian-12", "ubuntu-24.04", "freebsd-14"]);
  assert.deepEqual(served("zones"), ["debian-12", "omnios", "freebsd-14"]);
  for (const image of map.images.values()) {
    for (const backend of ["libvirt", "zones"] as const) {
      const unfit = unfitness(image, backend);
      assert.ok(unfit === null || unfit.needs !== null, unfit?.problem);
    }
  }
  assert.equal(resolveLabel(map, undefined).image.name, "debian-12");
});

test("paths are relative to the map's directory, defaults are filled in", () => {
  const map = parseImageMap(
    "default_label: a\nimages:\n  a: {source: ../up/a.raw.zst}\n  b: {local_path: b.img}\n  c: {source: 'file:///x.xz'}\n",
    places,
  );
  const a = map.images.get("a");
  assert.equal(a?.source, "/etc/up/a.raw.zst");
  assert.equal(a?.decompress, "zstd");
  assert.deepEqual(a?.defaults, { cpu: 2, ramMb: 2048, diskGb: 20 });
  assert.equal(map.images.get("b")?.localPath, "/etc/solstice/b.img");
  assert.equal(map.images.get("b")?.source, null);
  assert.equal(map.images.get("c")?.source, "file:///x.xz");
  assert.equal(map.images.get("c")?.decompress, "xz");
});

test("egress is open by default; a list is sorted and simplified", () => {
  const text =
    "default_label: a\nimages:\n  a: {source: x}\n  b: {source: y, egress: none}\n  c: {source: z, egress: [10.1.2.0/24, 10.0.0.9, 10.1.0.0/16]}\n";
  const { images } = parseImageMap(text, places);
  const egress = ["a", "b", "c"].map((name) => images.get(name)?.egress);
  assert.deepEqual(egress, ["open", "none", ["10.0.0.9", "10.1.0.0/16"]]);
});

/** Wrong maps with the expected problems: line:column, and a part of the text. */
const wrongMaps: readonly { what: string; text: string; problems: readonly [string, RegExp][] }[] = [
  {
    what: "an unknown key",
    text: "defalt_label: a\ndefault_label: a\nimages: {a: {source: x}}\n",
    problems: [
      [
        "1:1",
        /unknown key "defalt_label" \(did you mean "default_label"\?\); .* may have default_label, aliases/,
      ],
    ],
  },
  {
    what: "wrong types",
    text: "default_label: 5\naliases: []\nimages:\n  a:\n    source: x\n    nocloud: yes\n    defaults: {cpu: 1.5, ram_mb: 1GiB}\n",
    problems: [
      ["1:16", /default_label is 5; needs a name/],
      ["2:10", /aliases is a list; needs a mapping/],
      ["6:14", /images\.a\.nocloud is "yes"; needs true or false/],
      ["7:21", /images\.a\.defaults\.cpu is 1\.5; needs a whole number from 1 to 512/],
      ["7:34", /ram_mb is "1GiB"; needs a whole number/],
    ],
  },
  {
    what: "a repeated key, together with other problems",
    text: "default_label: b\nimages:\n  a: {source: x}\n  a: {source: y}\n",
    problems: [
      ["1:16", /leads to "b"/],
      ["4:3", /this key occurs twice; keep one of the two/],
    ],
  },
  {
    what: "aliases in a circle, without a target, and with an image's name",
    text: "default_label: x\naliases:\n  x: y\n  y: z\n  z: x\n  n: debain\n  debian: debian\nimages: {debian: {source: x}}\n",
    problems: [
      ["3:3", /circle: x → y → z → x; /],
      [
        "6:6",
        /alias "n" leads to "debain", which is no image or alias \(did you mean "debian"\?\); valid names: x, y, z, n, debian$/,
      ],
      ["7:3", /alias "debian" has the name of an image/],
      ["7:3", /circle: debian → debian/],
    ],
  },
  {
    what: "a size without cpu or memory",
    text: "default_label: a\nsizes:\n  small: {ram_mb: 512}\n  big: {cpu: 4}\n  none:\nimages: {a: {source: x}}\n",
    problems: [
      ["3:3", /sizes\.small has no cpu; add it: a whole number from 1 to 512/],
      ["4:3", /sizes\.big has no ram_mb; add it/],
      ["5:8", /sizes\.none is empty; needs a mapping with cpu, ram_mb/],
    ],
  },
  {
    what: "bad sources, paths and digests",
    text: "default_label: a\nimages:\n  a: {source: 'ftp://x/y'}\n  b: {local_path: ~/b}\n  c: {}\n  d: {source: x, sha256: abc}\n  e: {source: 'file://host/x'}\n  f: {source: 'http://'}\n",
    problems: [
      ["3:15", /images\.a\.source is "ftp:\/\/x\/y"; needs a http, https or file URL, or a path/],
      ["4:19", /a path without ~/],
      ["5:3", /image "c" has no file; give source .* or local_path/],
      ["6:26", /sha256 is "abc"; needs the 64 hexadecimal digits/],
      ["7:15", /a file URL of this machine/],
      ["8:15", /needs a http, https or file URL/],
    ],
  },
  {
    what: "an egress that is no valid policy",
    text: "default_label: a\nimages:\n  a: {source: x, egress: closed}\n  b: {source: x, egress: []}\n  c: {source: x, egress: [10.0.0.1/8]}\n  d: {source: x, egress: ['fd00::/8']}\n",
    problems: [
      ["3:26", /images\.a\.egress is "closed"; needs open, none, or a list of at most 100 entries/],
      ["4:26", /egress is a list; needs open, none, or a list/],
      ["5:27", /such as 10\.1\.2\.3 or 10\.1\.0\.0\/16/],
      ["6:27", /egress\.0 is "fd00::\/8"; needs an IPv4 address or range/],
    ],
  },
  {
    what: "two images in one file, and a name that would leave the directory",
    text: "default_label: a\nimages:\n  a: {local_path: /x/a}\n  b: {local_path: /x//a}\n  ../c: {source: x}\n",
    problems: [
      ["4:19", /image "b" has the same local_path as image "a"/],
      ["5:3", /not a usable name; needs a name: letters/],
    ],
  },
  {
    what: "an empty file",
    text: "",
    problems: [["1:1", /the image map is empty; needs a mapping with default_label/]],
  },
  {
    what: "a label without images",
    text: "default_label: a\nimages: {}\n",
    problems: [
      ["1:16", /leads to "a".*valid names: none/],
      ["2:9", /needs at least one image/],
    ],
  },
  { what: "tabs", text: "images:\n\ta: 1\n", problems: [["2:1", /not valid YAML: Tabs are not allowed/]] },
  {
    what: "an alias without an anchor",
    text: "images: *x\n",
    problems: [["1:9", /not valid YAML: the alias \*x has no anchor before it/]],
  },
  { what: "two documents", text: "a: 1\n---\nb: 1\n", problems: [["2:1", /a second YAML document/]] },
];

for (const { what, text, problems } of wrongMaps) {
  test(`refuses ${what}, with the place and the valid form`, () => {
    const lines = problemsOf(text);
    const places = lines.map((line) => /^\/etc\/solstice\/map\.yaml:(\d+:\d+): /.exec(line)?.[1]);
    assert.deepEqual(
      places,
      problems.map(([place]) => place),
      lines.join("\n"),
    );
    for (const [index, [, pattern]] of problems.entries()) assert.match(lines[index] ?? "", pattern);
  });
}

test("anchors that expand exponentially are refused before they fill the memory", () => {
  const levels = ["a", "b", "c", "d", "e", "f", "g", "h"];
  const lines = levels.map((name, level) => {
    const inner = level === 0 ? "x" : `*${levels[level - 1]}`;
    return `${name}: &${name} [${Array(9).fill(inner).join(",")}]`;
  });
  assert.match(
    problemsOf(lines.join("\n"))[0] ?? "",
    /anchors are repeated so often that there are more than 200000 values/,
  );
});

test("more than a hundred images may share the defaults of one anchor", () => {
  const images = Array.from(
    { length: 500 },
    (_, at) => `  i${at}: { source: /i${at}.img, defaults: *small }\n`,
  );
  const text = `default_label: i0\nimages:\n  first: { source: /a.img, defaults: &small { cpu: 1 } }\n${images.join("")}`;
  assert.equal(parseImageMap(text, places).images.get("i499")?.defaults.cpu, 1);
});

test("too deep nesting is reported as a problem of the file, for every kind of nesting", () => {
  const indented = Array.from({ length: 200 }, (_, depth) => `${" ".repeat(depth)}a:\n`).join("");
  for (const text of [
    "[".repeat(20_000),
    "{a: ".repeat(20_000),
    "- ".repeat(20_000),
    "? ".repeat(20_000),
    indented,
  ]) {
    const problems = problemsOf(text);
    assert.deepEqual(problems.length, 1);
    assert.match(problems[0] ?? "", /lists and maps are nested more than 50 deep; needs fewer levels/);
  }
  assert.doesNotMatch(problemsOf(`${"[".repeat(50)}${"]".repeat(50)}`)[0] ?? "", /nested/);
});

test("a file beyond 256 KiB is refused without parsing", () => {
  assert.match(problemsOf(`#${"x".repeat(256 * 1024)}`)[0] ?? "", /too long; needs at most 262144 bytes/);
});

test("of a thousand problems, fifty and the number of the others are reported", () => {
  const keys = Array.from({ length: 200 }, (_, index) => `k${index}: 1`);
  const lines = problemsOf(`${keys.join("\n")}\n`);
  assert.equal(lines.length, 51);
  assert.match(lines.at(-1) ?? "", /and 152 more$/);
});

function problemsOf(text: string): string[] {
  try {
    parseImageMap(text, places);
  } catch (error) {
    assert.ok(isSolsticeError(error, "config_invalid"), String(error));
    return error.message.split("\n");
  }
  return assert.fail("the map was accepted");
}
