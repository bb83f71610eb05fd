import { type Command, InvalidArgumentError } from "commander";
import { SolsticeError } from "../../../core/errors.ts";
import type { CacheEntry } from "../../../gen/solstice/v1/jobs_pb.ts";
import { formatBytes } from "../../../host/files/disk-space.ts";
import { addClientOptions, examplesText, openSession, type RegisterCommand } from "../../command.ts";
import type { CliContext } from "../../context.ts";
import { cacheEntriesText, cacheEntryDocument } from "../../print/cache-list.ts";
import { write, writeJson } from "../../print/output.ts";

/** Most entries of one listing: the API's limit. */
const limitMax = 1000;

interface FilterFlags {
  readonly repo?: string;
  readonly key?: string;
  readonly json?: true;
}

/** `solstice cache list|delete`: the entries of the jobs' caches. */
export const registerCache: RegisterCommand = (program, context) => {
  const cache = program
    .command("cache")
    .summary("list or delete entries of the jobs' caches")
    .description(
      "Lists or deletes entries that jobs saved with `cache` in their requests; see docs/reference/cache.md.",
    )
    .enablePositionalOptions();
  registerList(cache, context);
  registerDelete(cache, context);
};

function registerList(cache: Command, context: CliContext): void {
  const command = cache
    .command("list")
    .alias("ls")
    .summary("list the entries, latest used first")
    .description("Lists the entries of the cache, latest used first, with their ids.");
  addFilters(command).option("--limit <N>", `at most this many, up to ${limitMax}`, parseLimit, 100);
  addClientOptions(command)
    .addHelpText(
      "after",
      examplesText([
        ["solstice cache list", "the latest used 100 entries"],
        ["solstice cache list --repo https://git.example.org/team/app", "those of one repository"],
        ["solstice cache list --json | jq '[.entries[].size_bytes] | add'", "their total size"],
      ]),
    )
    .action(async (flags: FilterFlags & { limit: number }) => {
      const session = await openSession(command, context);
      const query = { ...filterOf(flags), limit: flags.limit };
      const { entries } = await session.call((client, options) => client.listCache(query, options));
      if (flags.json) await writeJson(context.stdout, { entries: entries.map(cacheEntryDocument) });
      else await write(context.stdout, cacheEntriesText(entries, context.stdout, context.now()));
    });
}

function registerDelete(cache: Command, context: CliContext): void {
  const command = cache
    .command("delete [ID...]")
    .aliases(["rm", "remove"])
    .summary("delete entries by id, repository or key")
    .description(
      "Deletes the entries with these ids, or those of a repository or with a key: at most 1000 at a time. A job that is " +
        "restoring such an entry continues without it; the next job that succeeds saves it again.",
    );
  addFilters(command).option("--all", "all entries of all repositories");
  addClientOptions(command)
    .addHelpText(
      "after",
      examplesText([
        ["solstice cache delete 5d41402abc4b2a76", "one entry"],
        ["solstice cache delete --repo https://git.example.org/team/app", "all of a repository"],
        ["solstice cache delete --all", "everything"],
      ]),
    )
    .action(async (ids: string[], flags: FilterFlags & { all?: true }) => {
      refuseAmbiguousSelection(ids, flags);
      const session = await openSession(command, context);
      const requests =
        ids.length > 0 ? ids.map((id) => ({ id })) : [{ ...filterOf(flags), all: flags.all ?? false }];
      const deleted: CacheEntry[] = [];
      for (const requested of requests) {
        const answer = await session.call((client, options) => client.deleteCache(requested, options));
        deleted.push(...answer.deleted);
      }
      if (flags.json) await writeJson(context.stdout, { deleted: deleted.map(cacheEntryDocument) });
      else await write(context.stdout, deletedText(deleted));
    });
}

/** Refuses a filter together with ids, which would be ignored, and an empty selection. */
function refuseAmbiguousSelection(
  ids: readonly string[],
  { repo, key, all }: FilterFlags & { all?: true },
): void {
  const hasFilter = repo !== undefined || key !== undefined;
  if ([ids.length > 0, hasFilter, all === true].filter(Boolean).length === 1) return;
  throw new SolsticeError("usage", "Name the entries to delete in exactly one way.", {
    remedy:
      "Give each ID, or --repo URL and --key KEY (one or both), or --all. `solstice cache list` shows the ids.",
  });
}

function addFilters(command: Command): Command {
  return command
    .option("--repo <URL>", "only of this repository, by the URL that its jobs name")
    .option("--key <KEY>", "only with this key");
}

function filterOf({ repo = "", key = "" }: FilterFlags) {
  return { repoUrl: repo, key };
}

function deletedText(deleted: readonly CacheEntry[]): string {
  const bytes = deleted.reduce((total, entry) => total + Number(entry.size), 0);
  if (deleted.length === 0) return "Nothing to delete.\n";
  return `Deleted ${deleted.length === 1 ? "1 entry" : `${deleted.length} entries`}, ${formatBytes(bytes)}.\n`;
}

function parseLimit(text: string): number {
  const limit = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= limitMax) return limit;
  throw new InvalidArgumentError(`It needs a whole number from 1 to ${limitMax}.`);
}
