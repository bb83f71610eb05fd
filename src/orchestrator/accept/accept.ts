import { SolsticeError } from "../../core/errors.ts";
import type { HostRecord } from "../../core/hosts/host-facts.ts";
import type { Job } from "../../core/job/job.ts";
import { type JobRequest, parseJobRequest, unknownRequestKeys } from "../../core/request/job-request.ts";
import { whyRefused } from "../../core/schedule/image-availability.ts";
import { type Placement, placeElsewhere, placeHere } from "../../core/schedule/placement.ts";
import { withoutTrailing } from "../../core/text/text-ends.ts";
import { insertJob } from "../../store/jobs/jobs.ts";
import { type Context, imageHere, isImageReady } from "../context.ts";
import { otherHosts } from "../hosts/host-facts.ts";
import { newJobId } from "./job-id.ts";

/**
 * Accepts a job: validates the request, resolves its label and size, and returns after the job is on disk. A
 * repeated `request_id` returns the same job. `retryOf` is the id of the job that the new job retries.
 * Errors: `usage`, `unknown_label`, `image_unavailable`, `unavailable`.
 */
export async function accept(
  context: Context,
  input: unknown,
  retryOf: string | null = null,
): Promise<{ job: Job; existed: boolean }> {
  if (context.phase !== "serving") {
    throw new SolsticeError("unavailable", "This orchestrator is shutting down and accepts no more jobs.", {
      remedy: "Submit again after its restart.",
    });
  }
  const request = parseJobRequest(input);
  reportUnknownKeys(context, request, input);
  await refuseUnknownSecrets(context, request);
  const { label, image, size } = await placeRequest(context, request);

  return insertJob(context.store, {
    id: newJobId(),
    request,
    label,
    image,
    size,
    fairKey: fairKeyOf(request),
    priority: request.priority,
    timeoutSeconds: request.timeout_seconds ?? context.config.jobTimeoutSeconds,
    maxAttempts: context.config.maxAttempts,
    submittedAt: Date.now(),
    retryOf,
  });
}

function reportUnknownKeys(context: Context, request: JobRequest, input: unknown): void {
  const unknownKeys = unknownRequestKeys(input as object).slice(0, 20);
  if (unknownKeys.length === 0) return;
  context.log.warn(
    { requestId: request.request_id, unknownKeys },
    "request has unknown keys, which are ignored",
  );
}

/**
 * Checks against this host's file; every host of a database should have the same. Do not list or suggest
 * secret names: the caller may be untrusted.
 */
async function refuseUnknownSecrets({ secrets }: Context, request: JobRequest): Promise<void> {
  const { unknown } = await secrets.refreshAndDecide(request);
  if (unknown.length === 0) return;
  throw new SolsticeError("usage", `Unknown secret: ${unknown.join(", ")}.`, {
    remedy: "Correct the name, or have the operator add the secret to the secrets file (SECRETS_FILE).",
  });
}

/** Places the request by this host's map, or by the facts of the other hosts if the map lacks the label or size. */
async function placeRequest(context: Context, request: JobRequest): Promise<Placement> {
  const requested = { runsOn: request.runs_on, size: request.size };
  const { imageMap: map } = context.config;
  const here = placeHere(requested, map);
  if (!(here instanceof SolsticeError) && maybeServed(context, here.image)) return here;
  const others = await otherHosts(context);
  const placement =
    here instanceof SolsticeError ? placeElsewhere(requested, here, { map, others, now: Date.now() }) : here;
  if (!maybeServed(context, placement.image)) refuseFailedImage(context, placement.image, others);
  return placement;
}

/** True when this host runs an image now, or may soon: the other hosts need no check then. */
function maybeServed(context: Context, image: string): boolean {
  return isImageReady(context, image) || imageHere(context, image).kind === "pending";
}

function refuseFailedImage(context: Context, image: string, others: readonly HostRecord[]): void {
  const failure = whyRefused(image, imageHere(context, image), others);
  if (failure === null) return;
  throw new SolsticeError("image_unavailable", `Image ${image} cannot be used: ${failure}`, {
    remedy: `Correct the entry of the image in the image map, then run: solstice images pull ${image}`,
  });
}

/** The key that jobs of one repository share, for each spelling of the end of its URL. */
function fairKeyOf(request: JobRequest): string {
  const url = request.repo_url ?? `source:${request.source}`;
  return withoutTrailing(url.toLowerCase(), "/").replace(/\.git$/, "");
}
