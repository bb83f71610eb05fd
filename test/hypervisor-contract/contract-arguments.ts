import { isAbsolute } from "node:path";
import { parseArgs } from "node:util";

/** What `npm run contract -- --help` says. */
export const contractHelp = `npm run contract -- --backend libvirt|noop|zones [options]
npm run contract -- --compare MINE THEIRS [--chosen WORD=TEXT …]

Runs the contract suite on one backend and says what holds. libvirt needs the system's libvirtd; zones uses the commands of
this host on illumos (as root; see --pool), and the stand-in elsewhere.

  --transcript FILE  writes down each command that zones runs, and what it answers: a line of JSON each
  --image FILE       the tiny guest as a raw image (made on Debian: sh images/build.sh tiny); on the stand-in: guests are QEMU
                     with this image, and no processes that only behave as guests
  --pool DATASET     zones on illumos: a dataset of this suite's own, which does not exist and whose parent does;
                     it is made and destroyed (default: rpool/solstice-contract)
  --only PATTERN     only the tests whose names match this regular expression

--compare shows where the second transcript differs from the first, test by test: exit codes, words, order. Ids, times, sizes and
directories are left out. With two hosts, what their operators chose differs as well: --chosen POOL=tank/ci names it, in both.

Exits with 0 when all holds (or nothing differs), with 1 when not, with 2 for arguments that are none. docs/contributing/testing.md tells more.
`;

/** What `npm run contract` is to do. */
export type ContractOrder =
  | { readonly kind: "help" }
  | {
      readonly kind: "compare";
      readonly mine: string;
      readonly theirs: string;
      readonly chosen: Record<string, string>;
    }
  | {
      readonly kind: "run";
      readonly backend: "libvirt" | "noop" | "zones";
      readonly transcript: string | null;
      readonly image: string | null;
      readonly pool: string;
      readonly only: string | null;
    };

const options = {
  backend: { type: "string" },
  transcript: { type: "string" },
  image: { type: "string" },
  pool: { type: "string", default: "rpool/solstice-contract" },
  only: { type: "string" },
  compare: { type: "boolean" },
  chosen: { type: "string", multiple: true },
  help: { type: "boolean", short: "h" },
} as const;

/** Reads the arguments. Throws a `TypeError` that says what is wrong with them. */
export function parseContractArguments(args: readonly string[]): ContractOrder {
  const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
  if (values.help) return { kind: "help" };
  if (values.compare) return comparison(positionals, values.chosen ?? []);
  if (positionals.length > 0)
    throw new TypeError(`What is ${positionals[0]} for? Only --compare takes names of files.`);
  const { backend, transcript = null, image = null, pool, only = null } = values;
  if (backend !== "libvirt" && backend !== "noop" && backend !== "zones")
    throw new TypeError("Which backend? --backend libvirt, noop or zones; --help tells more.");
  if (transcript !== null && backend !== "zones")
    throw new TypeError("--transcript is for zones: the other backends do not work by commands.");
  if (image !== null && !isAbsolute(image))
    throw new TypeError(`--image needs an absolute path, not ${image}.`);
  if (!/^[a-z][\w.:-]*(\/[\w.:-]+)+$/i.test(pool))
    throw new TypeError(`--pool needs a dataset below a pool, not ${pool}.`);
  return { kind: "run", backend, transcript, image, pool, only };
}

function comparison(files: readonly string[], chosen: readonly string[]): ContractOrder {
  const [mine, theirs, ...more] = files;
  if (mine === undefined || theirs === undefined || more.length > 0)
    throw new TypeError("--compare needs two transcripts: MINE THEIRS.");
  const words = chosen.map((text) => {
    const [, word, value] = /^([A-Z]+)=(.+)$/.exec(text) ?? [];
    if (word === undefined || value === undefined)
      throw new TypeError(`--chosen needs WORD=TEXT with a WORD in capitals, not ${text}.`);
    return [word, value] as const;
  });
  return { kind: "compare", mine, theirs, chosen: Object.fromEntries(words) };
}
