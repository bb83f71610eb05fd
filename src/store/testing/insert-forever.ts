import { insertJob } from "../jobs/jobs.ts";
import { newJob } from "./sample-jobs.ts";
import { openAt } from "./test-database.ts";

/**
 * A program for the durability test: `insert-forever.ts PATH-OR-URL` inserts jobs, some at a time, and prints the id of
 * each job when it is acknowledged. The test kills the program; otherwise it ends after `maxJobs`.
 */
const maxJobs = 20_000;
const atOnce = 7;

const store = await openAt(process.argv[2] ?? "");
for (let first = 0; first < maxJobs; first += atOnce) {
  const ids = Array.from({ length: atOnce }, (_, index) => `job${first + index}`);
  await Promise.all(
    ids.map((id) => insertJob(store, newJob(id)).then(() => process.stdout.write(`${id}\n`))),
  );
}
