import { globSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Tier } from "./arguments.ts";

/** The patterns of test files. */
const patterns = ["src/**/*.test.ts", "test/**/*.test.ts", "bench/**/*.test.ts"];

/** The slowest files begin first, so that no slow file runs alone at the end. A test checks the names. */
export const slowestFirst: readonly string[] = [
  "test/hypervisor-contract/libvirt.system.test.ts",
  "test/guests/libvirt.test.ts",
  "test/hosts/hosts.test.ts",
  "test/guests/isolation.test.ts",
  "test/guests/noop.test.ts",
  "test/guests/failures-libvirt.test.ts",
  "test/chaos.test.ts",
  "test/jobs/cache.test.ts",
  "test/guests/zones.test.ts",
  "src/store/postgres/store.system.test.ts",
  "test/packages/package.test.ts",
  "test/jobs/cleanup.test.ts",
  "test/jobs/hold.test.ts",
  "test/hypervisor-contract/zones.system.test.ts",
  "src/hypervisor/libvirt/real-libvirtd.system.test.ts",
  "src/queue/outages.system.test.ts",
  "test/messages/broker.test.ts",
  "test/hosts/hosts-libvirt.test.ts",
  "test/guests/kills-libvirt.test.ts",
  "test/hosts/audit.test.ts",
];

/** A test file and the way it runs. */
export interface TestFile {
  readonly path: string;
  /** True: the file starts programs, and mostly waits for them. */
  readonly isSystem: boolean;
}

/** Folders whose tests run whole systems. */
const systemFolders = /^(bench|test\/(docs|guests|hosts|jobs|messages|packages))\//;

/** True when a file starts real programs: its name or folder says so, or it is directly in `test/`. */
function isSystem(path: string): boolean {
  return /\.(system|long)\.test\.ts$/.test(path) || systemFolders.test(path) || /^test\/[^/]+$/.test(path);
}

/**
 * The files to run, in the order in which they begin: unit tests, then files that start programs, the slowest first.
 * Files named on the command line, directly or by folder, run in every tier. Throws when a name matches nothing.
 */
export function selectFiles(tier: Tier, named: readonly string[], root: string): readonly TestFile[] {
  const paths = named.length > 0 ? named.flatMap((name) => matching(name, root)) : filesOf(tier, root);
  const files = [...new Set(paths)].map((path) => ({ path, isSystem: isSystem(path) }));
  return files.toSorted(
    (a, b) =>
      Number(a.isSystem) - Number(b.isSystem) || rank(a.path) - rank(b.path) || (a.path < b.path ? -1 : 1),
  );
}

function filesOf(tier: Tier, root: string): readonly string[] {
  const all = patterns.flatMap((pattern) => globSync(pattern, { cwd: root }));
  if (tier === "all") return all;
  if (tier === "unit") return all.filter((path) => !isSystem(path));
  return all.filter((path) => !path.endsWith(".long.test.ts"));
}

function matching(name: string, root: string): readonly string[] {
  const isFolder = statSync(join(root, name), { throwIfNoEntry: false })?.isDirectory() ?? false;
  const found = globSync(isFolder ? join(name, "**/*.test.ts") : name, { cwd: root });
  if (found.length === 0) throw new Error(`No test file matches '${name}'.`);
  return found;
}

/** Whole systems take longer than the parts in `src/`. */
function rank(path: string): number {
  const place = slowestFirst.indexOf(path);
  if (place >= 0) return place;
  return slowestFirst.length + (path.startsWith("test/") ? 0 : 1);
}
