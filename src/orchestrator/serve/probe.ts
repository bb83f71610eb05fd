import { SolsticeError } from "../../core/errors.ts";

/** How long a probe of `/readyz` or `/metrics` is waited for, in ms: whoever asks gives up after about ten seconds. */
export const probeTimeoutMs = 3000;

/**
 * Settles as `probe` does, or rejects with `unavailable` when it has not within {@link probeTimeoutMs}: a network that
 * swallows everything must not keep those waiting who want to know.
 */
export async function withinProbeTime<Value>(probe: Promise<Value>): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const error = new SolsticeError("unavailable", `There was no answer within ${probeTimeoutMs / 1000} s.`);
    timer = setTimeout(() => reject(error), probeTimeoutMs);
  });
  try {
    return await Promise.race([probe, late]);
  } finally {
    clearTimeout(timer);
  }
}
