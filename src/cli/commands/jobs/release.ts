import type { Job } from "../../../gen/solstice/v1/jobs_pb.ts";
import { addClientOptions, examplesText, openSession, type RegisterCommand } from "../../command.ts";
import { jobDocument } from "../../print/job-document.ts";
import { write, writeJson } from "../../print/output.ts";
import { reportError } from "../../print/report-error.ts";

/** `solstice release JOB...`: removes guests on hold. */
export const registerRelease: RegisterCommand = (program, context) => {
  const command = program
    .command("release <JOB...>")
    .summary("remove the guest of a failed job that is on hold")
    .description(
      "Ends the hold of a failed job's guest before its time: the guest is removed, and the job gets its verdict as its " +
        "state. Exits 1 when a job has no guest on hold; the others are still released.",
    );
  addClientOptions(command)
    .addHelpText("after", examplesText([["solstice release 7k3m", "the job whose id begins with 7k3m"]]))
    .action(async (jobIds: string[], flags: { json?: true }) => {
      const session = await openSession(command, context);
      const jobs: Job[] = [];
      for (const jobId of jobIds) {
        try {
          const { job } = await session.call((client, options) => client.release({ jobId }, options));
          if (job) jobs.push(job);
        } catch (error) {
          context.setExitCode(reportError(context, error, { json: flags.json ?? false }));
        }
      }
      if (flags.json)
        await writeJson(context.stdout, { jobs: jobs.map((job) => jobDocument(job, context.now())) });
      else
        for (const job of jobs) await write(context.stdout, `The guest of job ${job.id} is being removed.\n`);
    });
};
