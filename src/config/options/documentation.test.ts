import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { type OptionDefinition, shownDefault } from "./option-definition.ts";
import { clientOptions, orchestratorOptions } from "./options.ts";

const page = readFileSync(new URL("../../../docs/reference/configuration.md", import.meta.url), "utf8");

test("docs/reference/configuration.md has exactly the options of the orchestrator", () => {
  assert.deepEqual(documentedRows("options"), expectedRows(orchestratorOptions));
});

test("docs/reference/configuration.md has exactly the options of commands that call the API", () => {
  assert.deepEqual(documentedRows("client-options"), expectedRows(clientOptions));
});

/** The cells of a table in the page, without its two heading rows. */
function documentedRows(marker: string): string[][] {
  const section =
    new RegExp(`<!-- ${marker}:begin.*?-->(.*?)<!-- ${marker}:end -->`, "s").exec(page)?.[1] ?? "";
  const rows = section.split("\n").filter((line) => line.startsWith("|"));
  return rows.slice(2).map((row) =>
    row
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

function expectedRows(table: Readonly<Record<string, OptionDefinition<unknown>>>): string[][] {
  return Object.values(table).map((option) => [
    `\`--${option.flag} ${option.placeholder}\``,
    `\`${option.environment}\``,
    option.defaultNote === undefined ? `\`${shownDefault(option)}\`` : shownDefault(option),
    option.description,
  ]);
}
