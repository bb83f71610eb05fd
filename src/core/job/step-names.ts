import { cachesOf, type JobRequest, type RequestStep, stepsOf } from "../request/job-request.ts";

/**
 * The steps of a job as its runner counts them, from 0: the checkout if there is a repository, then the restoring of
 * caches if there are any, the steps of the request, and last the saving of caches.
 */
export function stepNamesOf(request: JobRequest): string[] {
  const hasCaches = cachesOf(request).length > 0;
  return [
    ...(request.repo_url === undefined ? [] : ["checkout"]),
    ...(hasCaches ? ["restore cache"] : []),
    ...stepsOf(request).map((step) => step.name),
    ...(hasCaches ? ["save cache"] : []),
  ];
}

/** The request's step with that index in an attempt; undefined for the added steps (checkout and caches). */
export function requestStepAt(request: JobRequest, index: number): RequestStep | undefined {
  const before = (request.repo_url === undefined ? 0 : 1) + (cachesOf(request).length > 0 ? 1 : 0);
  return stepsOf(request)[index - before];
}
