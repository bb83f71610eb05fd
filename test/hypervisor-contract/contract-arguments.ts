import { isAbsolute } from "node:path";
import { parseArgs } from "node:util";

/** The output of `npm run contract -- --help`. */
export const contractHelp = `npm run contract -- --backend libvirt|noop|zones [options]

Runs the contract suite on one backend and reports each result. libvirt needs the system's libvirtd; zones uses the commands of
this host on illumos (as root; see --pool), and the stand-in elsewhere.

  --image FILE    the tiny guest as a raw image (made on Debian: sh images/build.sh tiny); on the stand-in: guests are QEMU
                  with this image, instead of processes that behave like guests
  --pool DATASET  zones on illumos: a dataset for this suite, which must not exist and whose parent must exist;
                  the suite creates and destroys it (default: rpool/solstice-contract)
  --only PATTERN  only the tests whose names match this regular expression

Exits with 0 when all tests pass, with 1 when a test fails, with 2 for wrong arguments. See docs/contributing/testing.md.
`;

/** The parsed command line of `npm run contract`. */
export type ContractOrder =
  | { readonly kind: "help" }
  | {
      readonly kind: "run";
      readonly backend: "libvirt" | "noop" | "zones";
      readonly image: string | null;
      readonly pool: string;
      readonly only: string | null;
    };

const options = {
  backend: { type: "string" },
  image: { type: "string" },
  pool: { type: "string", default: "rpool/solstice-contract" },
  only: { type: "string" },
  help: { type: "boolean", short: "h" },
} as const;

/** Reads the arguments. Throws a `TypeError` with the mistake. */
export function parseContractArguments(args: readonly string[]): ContractOrder {
  const { values } = parseArgs({ args: [...args], options });
  if (values.help) return { kind: "help" };
  const { backend, image = null, pool, only = null } = values;
  if (backend !== "libvirt" && backend !== "noop" && backend !== "zones")
    throw new TypeError("--backend is missing: choose libvirt, noop or zones; see --help.");
  if (image !== null && !isAbsolute(image))
    throw new TypeError(`--image needs an absolute path, not ${image}.`);
  if (!/^[a-z][\w.:-]*(\/[\w.:-]+)+$/i.test(pool))
    throw new TypeError(`--pool needs a dataset below a pool, not ${pool}.`);
  return { kind: "run", backend, image, pool, only };
}
