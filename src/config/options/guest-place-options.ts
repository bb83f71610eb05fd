import type { Backend } from "../../core/job/job.ts";
import type { OptionDefinition } from "./option-definition.ts";
import { orchestratorOptions } from "./options.ts";
import { zonesOptions } from "./zones-options.ts";

const { libvirtUri, libvirtNetwork, noopRunner } = orchestratorOptions;

/** The options that name a backend's place of guests. With other values, running guests would not be found. */
export const guestPlaceOptions: Readonly<
  Record<Backend, Readonly<Record<string, OptionDefinition<unknown>>>>
> = {
  libvirt: { libvirtUri, libvirtNetwork },
  zones: zonesOptions,
  noop: { noopRunner },
};
