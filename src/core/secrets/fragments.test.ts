import assert from "node:assert/strict";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { ByteSearch } from "./byte-search.ts";
import {
  fragmentLimits,
  fragmentsOf,
  fragmentsOfAll,
  leastFragmentsOf,
  maskableProblem,
} from "./fragments.ts";
import { Masker } from "./masker.ts";

function mask(text: string, ...secrets: string[]): string {
  const masker = new Masker(new ByteSearch(secrets.flatMap(fragmentsOf)));
  const decided = masker.feed(Buffer.from(text)).masked;
  return Buffer.concat([decided, masker.finish().masked]).toString();
}

const { privateKey } = generateKeyPairSync("rsa", {
  modulusLength: 2048,
  publicKeyEncoding: { type: "spki", format: "pem" },
  privateKeyEncoding: { type: "pkcs8", format: "pem" },
});
const keyLines = privateKey.trim().split("\n");
const account = JSON.stringify(
  {
    type: "service_account",
    project_id: "acme",
    private_key_id: "0f1e2d3c4b5a69788796a5b4c3d2e1f001122334",
    private_key: privateKey,
    client_email: "ci@acme.iam.gserviceaccount.com",
    token_uri: "https://oauth2.googleapis.com/token",
  },
  null,
  2,
);

test("a token is masked with its length, at any place", () => {
  assert.equal(mask("a hunter22 b\nhunter22", "hunter22\n"), "a ******** b\n********");
});

test("a key of many lines is masked as a whole, in single lines and with other line ends; its first and last line are not", () => {
  assert.match(mask(privateKey, privateKey), /^\*+\n$/);
  assert.match(mask(privateKey.replaceAll("\n", "\r\n"), privateKey), /^[*\r\n]+$/);
  for (const line of keyLines.slice(1, -2)) assert.match(mask(`  | ${line}\n`, privateKey), /^ {2}\| \*+\n$/);
  const other = "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n{ }\n";
  assert.equal(mask(other, privateKey), other);
});

test("a service account's JSON is masked, and the braces of other output are not", () => {
  const harmless =
    'function f() {\n  return { "a": [1] };\n}\n{\n  "type": "x",\n}\n});\nhttps://oauth2.googleapis.com/token acme\n';
  assert.equal(mask(harmless, account), harmless);
  assert.doesNotMatch(mask(account, account), /[A-Za-z]/);
  assert.match(mask(JSON.parse(account).private_key, account), /^\*+\n$/, "the output of jq -r for the key");
  assert.match(mask(`${keyLines[3]}\n`, account), /^\*+\n$/, "a line of the key inside");
  assert.match(mask("id=0f1e2d3c4b5a69788796a5b4c3d2e1f001122334;", account), /^id=\*+;$/);
  assert.doesNotMatch(mask(JSON.stringify(JSON.parse(account)), account), /MII/, "without its spaces");
});

test("property: base64 of a text with a secret inside does not show the secret, at any alignment", () => {
  const secret = "s3cr3t/value+with~32+characters!";
  fc.assert(
    fc.property(fc.string({ maxLength: 20 }), fc.string({ maxLength: 20 }), (before, after) => {
      const encoded = Buffer.from(before + secret + after);
      for (const encoding of ["base64", "base64url"] as const) {
        const shown = mask(encoded.toString(encoding), secret).replaceAll("*", "A");
        assert.ok(!Buffer.from(shown, encoding).includes(secret.slice(3, -3)));
      }
    }),
  );
});

test("base64 in lines, in the command's format", () => {
  const secret = randomBytes(150).toString("hex");
  for (const width of [64, 76]) {
    const lines = (
      Buffer.from(`${secret}\n`)
        .toString("base64")
        .match(new RegExp(`.{1,${width}}`, "g")) ?? []
    ).join("\n");
    const open = mask(lines, secret).replace(/[*\n]/g, "");
    assert.ok(open.length < 12, open);
  }
});

test("the forms of a value in URLs, JSON and shells", () => {
  const secret = 'p\'ss "w/rd" & more';
  for (const form of [
    encodeURIComponent(secret),
    "p%27ss+%22w%2Frd%22+%26+more",
    JSON.stringify(secret).slice(1, -1),
    `p'\\''ss "w/rd" & more`,
  ]) {
    assert.match(mask(`<${form}>`, secret), /^<\*+>$/, form);
  }
});

test("the forms of a value in Python, Go, XML and shells", () => {
  const cases: readonly (readonly [secret: string, forms: readonly string[]])[] = [
    [
      "pa<ss&wo>rd-77x",
      ["pa\\u003css\\u0026wo\\u003erd-77x", "pa&lt;ss&amp;wo&gt;rd-77x", "pa\\<ss\\&wo\\>rd-77x"],
    ],
    [
      "pässwörd-çafé-9",
      [
        "p\\u00e4ssw\\u00f6rd-\\u00e7af\\u00e9-9",
        "p\\u00E4ssw\\u00F6rd-\\u00E7af\\u00E9-9",
        "p&#228;ssw&#246;rd-&#231;af&#233;-9",
      ],
    ],
    [
      'it\'s "quoted" $HOME `x`',
      [
        "it%27s%20%22quoted%22%20%24HOME%20%60x%60",
        "it&#x27;s &quot;quoted&quot; $HOME `x`",
        "it&#39;s &#34;quoted&#34; $HOME `x`",
        'it\'s \\"quoted\\" \\$HOME \\`x\\`',
        'it\\\'s\\ \\"quoted\\"\\ \\$HOME\\ \\`x\\`',
        'it\'s \\\\\\"quoted\\\\\\" $HOME `x`',
      ],
    ],
    [
      "a b*c!(d)-5",
      ["a%20b%2Ac%21%28d%29-5", "a%20b%2ac%21%28d%29-5", "a+b%2Ac%21%28d%29-5", "a+b*c%21%28d%29-5"],
    ],
  ];
  for (const [secret, forms] of cases)
    for (const form of forms) assert.match(mask(`(${form})`, secret), /^\(\*+\)$/, form);
});

test("for any number of secrets the texts to search for have a limit, and include each value", () => {
  const values = Array.from(
    { length: 500 },
    (_, at) => `<${String(at).padStart(3, "0")}>&'"${"\u00e4".repeat(100)}`,
  );
  const found = fragmentsOfAll(values);
  const bytes = (all: readonly Buffer[]) => all.reduce((sum, { length }) => sum + length, 0);
  assert.ok(bytes(found) - bytes(values.flatMap(leastFragmentsOf)) <= fragmentLimits.moreBytes);
  const texts = new Set(found.map(String));
  for (const value of values) assert.ok(texts.has(value));
});

test("a value that occurs by chance is refused", () => {
  for (const short of ["1", "12345", "hello\n", "aaaaaaaa", "ababab", "\n\n\n\n\n\n\n"]) {
    assert.match(maskableProblem(short) ?? "", /at least 6 characters/, short);
  }
  for (const fine of ["hunter", "pässwö", "correct horse"]) assert.equal(maskableProblem(fine), null);
});

test("property: any value is masked completely, and no fragment is short", () => {
  const value = fc
    .string({ minLength: 6, maxLength: 60, unit: "grapheme" })
    .filter((text) => maskableProblem(text) === null);
  fc.assert(
    fc.property(value, (text) => {
      const masked = mask(`<${text}>`, text);
      assert.equal(masked.replaceAll("*", "").replace(/[\r\n]+>$/, ">"), "<>");
      assert.ok(fragmentsOf(text).every((fragment) => fragment.length >= 6));
    }),
  );
});
