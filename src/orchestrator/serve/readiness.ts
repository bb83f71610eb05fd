import { errorText } from "../../core/errors.ts";
import type { ReadinessCheck } from "../../http/http.ts";
import { listSlots } from "../../store/jobs/capacity.ts";
import { type Context, isDraining, isImageReady, isImageServed } from "../context.ts";
import { withinProbeTime } from "./probe.ts";

/**
 * What `/readyz` asks: can a job be taken in and run now? `leaseProblem` says why this host's lease was not renewed, or
 * null: a database that can be read need not be one that can be written.
 */
export async function readiness(context: Context, leaseProblem: string | null): Promise<ReadinessCheck[]> {
  return [
    servingCheck(context),
    await check("store", () => listSlots(context.store, context.identity.hostId)),
    { name: "lease", ok: leaseProblem === null, message: leaseProblem ?? "ok" },
    // Any question that it must answer; there is no such job.
    await check("hypervisor", () => context.hypervisor.power("readiness")),
    {
      name: "disk",
      ok: context.diskGuard.pausedReason() === null,
      message: context.diskGuard.pausedReason() ?? "ok",
    },
    ...brokerCheck(context),
    imageCheck(context),
  ];
}

function servingCheck(context: Context): ReadinessCheck {
  const { phase } = context;
  if (phase !== "serving") return { name: "serving", ok: false, message: `this host is ${phase}` };
  const ok = !isDraining(context);
  return { name: "serving", ok, message: ok ? "ok" : "this host is being drained (solstice drain --end)" };
}

function imageCheck(context: Context): ReadinessCheck {
  const { config, hypervisor } = context;
  const mapped = [...config.imageMap.images.keys()];
  const ready = mapped.filter((image) => isImageReady(context, image));
  if (mapped.some((image) => isImageServed(context, image))) {
    return { name: "images", ok: ready.length > 0, message: `ready: ${ready.join(", ") || "none yet"}` };
  }
  const message = `none of the image map is for this host, whose backend is ${hypervisor.backend}`;
  return { name: "images", ok: mapped.length === 0, message };
}

/** While it is away jobs still come through the API, and results wait in the store. */
function brokerCheck({ messaging }: Context): ReadinessCheck[] {
  if (messaging === null) return [];
  const { connected, message } = messaging.broker.status();
  return [{ name: "broker", ok: connected, message }];
}

async function check(name: string, probe: () => Promise<unknown>): Promise<ReadinessCheck> {
  try {
    await withinProbeTime(probe());
    return { name, ok: true, message: "ok" };
  } catch (error) {
    return { name, ok: false, message: errorText(error) };
  }
}
