import { CommandFailure } from "../../host/failure.ts";

/** A refusal of zoneadm itself (zerror of zoneadm.c). */
export function zoneadmFailure(zone: string, text: string): CommandFailure {
  return new CommandFailure(`zoneadm: zone '${zone}': ${text}`);
}

/** zoneadmd's error, as libzonecfg repeats it for zoneadm (zonecfg_call_zoneadmd). */
export function zoneadmdFailure(zone: string, ...texts: readonly string[]): CommandFailure {
  return new CommandFailure(texts.map((text) => `zone '${zone}': ${text}`).join("\n"));
}

/** The same for `boot`, with another line about the failed call (boot_func of zoneadm.c). */
export function bootFailure(zone: string, ...texts: readonly string[]): CommandFailure {
  const called = zoneadmFailure(zone, "call to zoneadmd failed").message;
  return new CommandFailure(`${zoneadmdFailure(zone, ...texts).message}\n${called}`);
}

/** zoneadmd does not start for a zone that is only configured (main of zoneadmd.c, start_zoneadmd of libzonecfg). */
export function unmanageable(zone: string): CommandFailure {
  return new CommandFailure(
    `cannot manage a zone which is in state 'configured'\nzone '${zone}': could not start zoneadmd`,
  );
}
