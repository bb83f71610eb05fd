import { errorText, isSolsticeError, SolsticeError } from "../../core/errors.ts";
import type { ImageDefinition } from "../../core/image-map/image-map.ts";
import { guestName, type Job } from "../../core/job/job.ts";
import { type Verdict, verdict } from "../../core/job/verdict.ts";
import { buildSeed } from "../../guest/seed/seed.ts";
import type { GuestSpec } from "../../hypervisor/hypervisor.ts";
import { applyEvent } from "../../store/jobs/jobs.ts";
import { formerHosts, setMachineState } from "../../store/jobs/machines.ts";
import { type Context, unfitHere } from "../context.ts";
import { bootstrapToken } from "../identity.ts";
import { isStoreAway } from "../store-away.ts";

/**
 * Creates the guest of a job's attempt and starts it. An error becomes the attempt's verdict, except when a
 * hypervisor or store is unavailable: that is retried until the provisioning deadline. A full disk also
 * pauses the host.
 */
export async function provision(context: Context, job: Job): Promise<void> {
  const attempt = { jobId: job.id, attempt: job.attempt };
  try {
    await refuseMissingSecrets(context, job);
    await context.hypervisor.create(await guestSpec(context, job));
    await setMachineState(context.store, { ...attempt, state: "created", at: Date.now() });
    await context.hypervisor.start(job.id);
  } catch (error) {
    if (isSolsticeError(error, "hypervisor_unavailable") || isStoreAway(error)) throw error;
    if (isSolsticeError(error, "disk_full")) context.diskGuard.reportFull(errorText(error));
    context.log.error({ err: error, ...attempt }, "guest could not be provisioned");
    await applyEvent(context.store, {
      ...attempt,
      event: "conclude",
      holder: context.identity.hostId,
      at: Date.now(),
      verdict: verdictOf(error),
    });
  }
}

/** Refuses a job whose secrets only other hosts have: another attempt may run there. */
async function refuseMissingSecrets({ secrets }: Context, { request }: Job): Promise<void> {
  const { unknown } = await secrets.refreshAndDecide(request);
  if (unknown.length > 0) throw new MissingSecrets(unknown);
}

/** The error of a host whose secrets file lacks a secret of an accepted job. */
class MissingSecrets extends SolsticeError {
  constructor(names: readonly string[]) {
    super("config_invalid", `this host has no secret ${names.join(", ")}.`, {
      remedy: "Give every host the same secrets file (SECRETS_FILE).",
    });
  }
}

/** A full disk is a problem of the host: the job returns to the queue, and keeps its attempt. */
function verdictOf(error: unknown): Verdict {
  if (error instanceof MissingSecrets)
    return verdict("secret_missing", `The job cannot run here: ${errorText(error)}`);
  const reason = isSolsticeError(error, "disk_full") ? "host_disk_full" : "provision_failed";
  return verdict(reason, `The guest could not be created: ${errorText(error)}`);
}

/**
 * The definition of the job's image, as it is now. Which image that is was decided when the job was accepted; whether this host
 * runs it was true when the job was claimed, and a reload or a start with another map or backend may have changed it since.
 */
function imageOf(context: Context, job: Job): ImageDefinition {
  const image = context.config.imageMap.images.get(job.image);
  const problem = image ? unfitHere(context, job.image)?.problem : "The image is no longer in the image map.";
  if (image && problem === undefined) return image;
  throw new SolsticeError("image_unavailable", `Image ${job.image} cannot be used here: ${problem}`);
}

async function guestSpec(context: Context, job: Job): Promise<GuestSpec> {
  const token = bootstrapToken(context.identity, job.id, job.attempt);
  // Prepares the answer for the plan, which is built without waiting.
  await context.reach.whyUnreachable(job);
  const image = imageOf(context, job);
  const ready = context.images.state(job.image);
  const prepared =
    ready.kind === "ready" ? ready : { path: image.localPath, format: image.format ?? "raw", digest: null };
  const { seed, files } = buildSeed({
    jobId: job.id,
    attempt: job.attempt,
    hostName: guestName(job.id),
    form: image.seed,
    runnerUrl: context.runnerUrl,
    bootstrapToken: token,
  });
  return {
    jobId: job.id,
    attempt: job.attempt,
    imagePath: prepared.path,
    imageFormat: prepared.format,
    imageDigest: prepared.digest,
    size: job.size,
    seedFormat: image.seed,
    diskBus: image.diskBus,
    nicModel: image.nicModel,
    firmware: image.firmware,
    egress: image.egress,
    seed,
    files,
    runner: { url: context.runnerUrl, bootstrapToken: token },
    hasShell: job.request.hold_on_failure_seconds !== undefined,
    formerHosts: job.attempt === 1 ? [] : await formerHosts(context.store, job),
  };
}
