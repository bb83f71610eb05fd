import { SolsticeError } from "../core/errors.ts";
import type { Job } from "../core/job.ts";
import { type JobRequest, parseJobRequest, unknownRequestKeys } from "../core/job-request.ts";
import { resolveLabel, resolveSize } from "../core/labels.ts";
import { insertJob } from "../store/jobs.ts";
import type { Context } from "./context.ts";
import { newJobId } from "./job-id.ts";

/**
 * Takes a job in: validates the request, resolves its label and size, and returns once it is on disk. The same
 * `request_id` again is the same job. Errors: `usage`, `unknown_label`, `image_unavailable`, `unavailable`.
 */
export async function accept(context: Context, input: unknown): Promise<{ job: Job; existed: boolean }> {
  if (context.phase !== "serving") {
    throw new SolsticeError("unavailable", "This orchestrator is shutting down and takes no more jobs.", {
      remedy: "Submit again once it is back.",
    });
  }
  const request = parseJobRequest(input);
  reportUnknownKeys(context, request, input);
  refuseWhatIsNotThereYet(request);
  const { imageMap } = context.config;
  const { label, image } = resolveLabel(imageMap, request.runs_on);
  const size = resolveSize(imageMap, image, request.size);
  refuseFailedImage(context, image.name);

  return insertJob(context.store, {
    id: newJobId(),
    request,
    label,
    image: image.name,
    size,
    fairKey: fairKeyOf(request),
    priority: request.priority,
    timeoutSeconds: request.timeout_seconds ?? context.config.jobTimeoutSeconds,
    maxAttempts: context.config.maxAttempts,
    submittedAt: Date.now(),
  });
}

function reportUnknownKeys(context: Context, request: JobRequest, input: unknown): void {
  const unknownKeys = unknownRequestKeys(input as object).slice(0, 20);
  if (unknownKeys.length === 0) return;
  context.log.warn(
    { requestId: request.request_id, unknownKeys },
    "the request has keys that this version ignores",
  );
}

/** A request that asks for what we cannot give is refused, not run without it. */
function refuseWhatIsNotThereYet(request: JobRequest): void {
  if (request.secrets.length === 0) return;
  throw new SolsticeError("usage", "The request asks for secrets, which this version cannot give to a job.", {
    remedy: "Leave out `secrets`.",
  });
}

function refuseFailedImage(context: Context, imageName: string): void {
  if (context.hypervisor.backend === "noop") return;
  const state = context.images.state(imageName);
  if (state.kind !== "failed" || !state.permanent) return;
  throw new SolsticeError("image_unavailable", `Image ${imageName} cannot be used: ${state.message}`, {
    remedy: `Mend its entry in the image map, then run: solstice images pull ${imageName}`,
  });
}

/** Jobs of one repository share a key, whatever the spelling of its URL's tail. */
function fairKeyOf(request: JobRequest): string {
  const url = request.repo_url ?? `source:${request.source}`;
  return url
    .toLowerCase()
    .replace(/\/+$/, "")
    .replace(/\.git$/, "");
}
