import type { Backend } from "../../core/job/job.ts";
import type { OptionDefinition } from "./option-definition.ts";
import { orchestratorOptions } from "./options.ts";
import { zonesOptions } from "./zones-options.ts";

const { libvirtUri, libvirtNetwork, noopRunner } = orchestratorOptions;

/** The options that say where a backend keeps its guests: with other values, none of those that run would be found. */
export const guestPlaceOptions: Readonly<
  Record<Backend, Readonly<Record<string, OptionDefinition<unknown>>>>
> = {
  libvirt: { libvirtUri, libvirtNetwork },
  zones: zonesOptions,
  noop: { noopRunner },
};
