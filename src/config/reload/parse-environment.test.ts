import assert from "node:assert/strict";
import { test } from "node:test";
import { parseEnvironment } from "./parse-environment.ts";

const valuesOf = (text: string) => Object.fromEntries(parseEnvironment(text).variables);

test("a line without a valid assignment is a problem with its number, and its text is not repeated", () => {
  const text = "# comment\nA=1\nAPI TOKEN=s3cret\ns3cret\n=s3cret\n1A=s3cret\nB=2\ns3cret";
  const { variables, problems } = parseEnvironment(text);
  assert.deepEqual(Object.fromEntries(variables), { A: "1", B: "2" });
  assert.deepEqual(
    problems.map(({ line }) => line),
    [3, 4, 5, 6, 8],
  );
  assert.doesNotMatch(JSON.stringify(problems), /s3cret/);
});

test("comments, empty lines, empty values and Windows line ends are valid", () => {
  assert.deepEqual(valuesOf("\n  \n;x\n#y\nA=\r\nB=b\r\n C = c c \n"), { A: "", B: "b", C: "c c" });
  assert.deepEqual(valuesOf("A=1\nA=2"), { A: "2" });
});
