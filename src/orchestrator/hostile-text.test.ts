import { test } from "node:test";
import { hostileMaps, hostileRequests, hostileTexts } from "../../test/support/hostile-inputs.ts";
import { assertLinear } from "../../test/support/linear.ts";
import { sample } from "../../test/support/sampling.ts";
import { manyLines, oneLine, repositoryText } from "../cli/print/text.ts";
import type { MapPlaces } from "../config/image-map/image-definition.ts";
import { readImageMap } from "../config/image-map/parse-image-map.ts";
import { cacheRepository } from "../core/cache/scope.ts";
import { findTrouble } from "../core/job/console-trouble.ts";
import { parseJobRequest } from "../core/request/job-request.ts";
import { ByteSearch } from "../core/secrets/byte-search.ts";
import { fragmentsOf } from "../core/secrets/fragments.ts";
import { Masker } from "../core/secrets/masker.ts";
import { repositoryName } from "../core/secrets/repository-name.ts";
import { closestName } from "../core/text/closest-name.ts";
import { withoutTerminalSequences } from "../core/text/terminal-sequences.ts";
import { describeConsole } from "./drive/console.ts";
import { ShellMarkers } from "./shells/shell-markers.ts";

/** The parsers of untrusted text, each applied to a whole text. */
const readers: Readonly<Record<string, (text: string) => unknown>> = {
  findTrouble,
  withoutTerminalSequences,
  describeConsole,
  oneLine,
  manyLines,
  repositoryText: (text) => repositoryText(`https://host/${text}x`),
  repositoryName: (text) => repositoryName(`https://host/${text}x`),
  cacheRepository: (text) => cacheRepository(`https://host/${text}x`),
  closestName: (text) => closestName(text, ["debian-12", "openindiana-latest"]),
  "the marks of a shell": (text) => new ShellMarkers(7).push(Buffer.from(text)),
};

for (const [name, run] of Object.entries(readers)) {
  test(`${name}: twice the text costs at most 2.5 times as much`, () => {
    for (const piece of sample(name, Object.values(hostileTexts), 8)) {
      for (const [before, after] of [
        ["", "\u0001x"],
        [hostileTexts["the summary's tasks"] ?? "", ""],
      ] as const) {
        const make = (size: number) => before + piece.repeat(Math.ceil(size / piece.length)) + after;
        assertLinear({ make, run, largest: 2 ** 18 });
      }
    }
  });
}

test("a request with many wrong parts: twice as many cost at most 2.5 times as much", () => {
  for (const make of sample("requests", Object.values(hostileRequests), 6)) {
    // The copy is made here: copying an object with many keys costs more than the measured code, and more
    // than twice as much for twice as many keys.
    const whole = (size: number) => ({ request_id: "0198a4c2-7a51-7c3e-8a11-3c1f2f8f0a01", ...make(size) });
    assertLinear({ make: whole, run: refuse, largest: 2 ** 17 });
  }
});

function refuse(request: object): void {
  try {
    parseJobRequest(request);
  } catch {
    // A refused request also costs time.
  }
}

const places: MapPlaces = { fileName: "/etc/solstice/map.yaml", dataDir: "/data" };

test("an image map: twice the text costs at most 2.5 times as much", () => {
  for (const make of sample("image maps", Object.values(hostileMaps), 8)) {
    assertLinear({ make, run: (text) => readImageMap(text, places), largest: 2 ** 19 });
  }
});

test("masking: twice the values, and twice the output, cost at most 2.5 times as much", () => {
  for (const piece of sample("masked texts", Object.values(hostileTexts), 6)) {
    const make = (size: number) => piece.repeat(Math.ceil(size / piece.length));
    assertLinear({ make, run: fragmentsOf, largest: 2 ** 17 });
    const search = new ByteSearch(fragmentsOf(`${make(200)}!secret`));
    assertLinear({ make: (size) => Buffer.from(make(size)), run: (bytes) => new Masker(search).feed(bytes) });
  }
});
