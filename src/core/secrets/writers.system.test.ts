import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import fc from "fast-check";
import { isExhaustive, sample, testSeed } from "../../../test/support/sampling.ts";
import { findProgram } from "../../host/find-program.ts";
import { ByteSearch } from "./byte-search.ts";
import { fragmentsOf, maskableProblem } from "./fragments.ts";
import { Masker } from "./masker.ts";

/** Programs that write the text of their standard input, or of VALUE, in their own notation. */
const python = (expression: string) => [
  "python3",
  "-c",
  `import sys,json,html,shlex,base64,urllib.parse as u,xml.sax.saxutils as x\nv=sys.stdin.buffer.read().decode()\nsys.stdout.buffer.write((${expression}).encode())`,
];
const node = (expression: string) => [
  process.execPath,
  "-e",
  `const v=require("fs").readFileSync(0,"utf8");process.stdout.write(${expression})`,
];
const perl = (expression: string) => [
  "perl",
  "-Mutf8",
  "-CS",
  "-0777",
  "-ne",
  `my $v=$_; print ${expression}`,
];
const writers: readonly (readonly string[])[] = [
  ["python3", "-c", "import os;os.write(1,os.environb[b'VALUE'])"],
  python("json.dumps(v)"),
  python("json.dumps(v, ensure_ascii=False)"),
  python("json.dumps(json.dumps(v))"),
  python("u.quote(v)"),
  python("u.quote(v, safe='')"),
  python("u.quote_plus(v)"),
  python("u.urlencode({'': v})"),
  python("html.escape(v)"),
  python("html.escape(v, quote=False)"),
  python("x.escape(v)"),
  python("shlex.quote(v)"),
  python("v.encode('ascii', 'xmlcharrefreplace').decode()"),
  node("JSON.stringify(v)"),
  node("JSON.stringify(JSON.stringify(v))"),
  node("encodeURIComponent(v)"),
  node("encodeURI(v)"),
  node("String(new URLSearchParams({ v }))"),
  ["bash", "-c", 'printf %q "$VALUE"'],
  ["bash", "-c", "export -p"],
  ["bash", "-c", "value=$VALUE; declare -p value"],
  ["bash", "-c", 'set -x; : "$VALUE"'],
  ["dash", "-c", "export -p"],
  ["dash", "-c", 'set -x; : "$VALUE"'],
  ["busybox", "sh", "-c", "export -p"],
  ["base64"],
  ["base64", "-w0"],
  ["jq", "-Rs", "."],
  ["jq", "-aRs", "."],
  ["jq", "-Rs", ".|tojson"],
  ["jq", "-Rrs", "@uri"],
  ["jq", "-Rrs", "@html"],
  ["jq", "-Rrs", "@sh"],
  perl(
    'join "", map { /[A-Za-z0-9\\-_.~]/ ? $_ : join "", map { sprintf "%%%02X", $_ } unpack "C*", do { my $c=$_; utf8::encode($c); $c } } split //, $v',
  ),
];

/** A writer's output, and the same after masking. */
function shownBy(
  [program = "", ...args]: readonly string[],
  value: string,
): { printed: string; shown: string } {
  const env = { PATH: process.env.PATH, VALUE: value, LC_ALL: "C.UTF-8" };
  const { stdout, stderr } = spawnSync(program, args, { input: value, env });
  const printed = Buffer.concat([stdout, stderr]);
  const masker = new Masker(new ByteSearch(fragmentsOf(value)));
  const shown = Buffer.concat([masker.feed(printed).masked, masker.finish().masked]).toString();
  return { printed: printed.toString(), shown };
}

/** A beginning and an end that no notation changes, to check whether the text between them was masked. */
const marks = ["Zq7", "9Xw"] as const;

const ownCases = [
  "pa<ss&wo>rd-77x",
  "pässwörd-çafé-9",
  'it\'s "quoted" $HOME `x`',
  "two''in a row",
  "a b*c!(d)-5",
  "#~tilde~#,{brace}",
  "😀/€+%=?;&😀",
  "tab\tline\nslash\\end",
];

const isInstalled = async ([program = ""]: readonly string[]) =>
  program.startsWith("/") || (await findProgram(program, process.env.PATH ?? "")) !== null;
const installed: (readonly string[])[] = [];
for (const writer of writers) if (await isInstalled(writer)) installed.push(writer);

for (const writer of sample("writers", installed, 4)) {
  const name = [writer[0]?.split("/").at(-1), ...writer.slice(1)].join(" ").split("\n").at(-1)?.slice(0, 90);
  test(`the output of ${name} is masked`, () => {
    const text = fc.string({
      unit: fc.constantFrom(...(`aB9 '"$\`\\!*&<>()[]{}|;#~%+/=?@,^:äß€😀`.match(/./gu) ?? [])),
      minLength: 4,
      maxLength: 12,
    });
    const value = text
      .map((inner) => `${marks[0]}${inner}${marks[1]}`)
      .filter((one) => maskableProblem(one) === null);
    const check = (secret: string) => {
      const { printed, shown } = shownBy(writer, secret);
      for (const mark of [secret.slice(0, 3), secret.slice(-3)])
        assert.ok(!shown.includes(mark), `${printed}\n${shown}`);
    };
    fc.assert(fc.property(value, check), { numRuns: isExhaustive ? 30 : 6, seed: testSeed });
    for (const own of ownCases) check(`${marks[0]}${own}${marks[1]}`);
  });
}
