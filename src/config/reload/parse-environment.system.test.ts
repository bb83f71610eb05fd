/** Compares the parser with systemd's own generator, which runs without a running systemd. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { parseEnvironment } from "./parse-environment.ts";

/** Prints the variables of `~/.config/environment.d/*.conf` for a shell. Its parser is that of `EnvironmentFile=`. */
const generator = "/usr/lib/systemd/user-environment-generators/30-systemd-environment-d-generator";

/** The parts of generated values, without `$`, which only this generator replaces. */
const pieces = ["a", "=", " ", "  ", "\t", "'", '"', "\\", "\\\n", "#", ";", "`", "é", "x y"];

function asSystemdReadsIt(text: string): Record<string, string> {
  const home = mkdtempSync(join(tmpdir(), "solstice-environment-"));
  try {
    mkdirSync(join(home, "environment.d"));
    writeFileSync(join(home, "environment.d/a.conf"), text);
    const options = { env: { XDG_CONFIG_HOME: home, HOME: "/nonexistent" }, encoding: "utf8" } as const;
    const lines = execFileSync(generator, { ...options, stdio: "pipe" }).split("\n");
    const variables = lines.map((line) => /^(V\d+)=(.*)$/.exec(line)).filter((match) => match !== null);
    return Object.fromEntries(variables.map(([, name = "", shown = ""]) => [name, asMeant(shown)]));
  } finally {
    rmSync(home, { recursive: true });
  }
}

/** Decodes a value of the generator's output, which has quotes and C escapes where needed. */
function asMeant(shown: string): string {
  const quoted = /^"(.*)"$/.exec(shown)?.[1];
  const blanks: Record<string, string> = { n: "\n", t: "\t" };
  return quoted?.replace(/\\(.)/g, (_, char: string) => blanks[char] ?? char) ?? shown;
}

test("the parser agrees with systemd for all quotes and escapes", {
  skip: existsSync(generator) ? false : `${generator} is not installed`,
}, () => {
  const value = fc.array(fc.constantFrom(...pieces), { maxLength: 8 }).map((parts) => parts.join(""));
  fc.assert(
    fc.property(fc.array(value, { minLength: 100, maxLength: 100 }), (values) => {
      const text = values.map((one, index) => `V${index}=${one}\n`).join("");
      // A backslash at the end of a comment continues the comment before systemd 254, and not later.
      fc.pre(!/^[ \t]*[#;].*\\/m.test(text));
      const ours = [...parseEnvironment(text).variables].filter(([name]) => /^V\d+$/.test(name));
      // The generator omits variables with an empty value.
      const given = ours.filter(([, one]) => one !== "");
      const theirs = Object.entries(asSystemdReadsIt(text)).filter(([, one]) => one !== "");
      assert.deepEqual(Object.fromEntries(given), Object.fromEntries(theirs));
    }),
    { numRuns: 10 },
  );
});
