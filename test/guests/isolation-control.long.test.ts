/**
 * Runs the attacks of `isolation.test.ts` on a host without the firewall: an attack that succeeds here can fail there
 * because of the firewall.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  claimAddress,
  claimSpanningTree,
  ownerOfAddress,
  pretendAddresses,
  pretendCards,
  reachEverything,
  rootOfBridge,
  setScene,
  startActor,
  startPeer,
  withPeer,
} from "../support/guests/isolation.ts";
import { noLibvirt } from "../support/guests/libvirt.ts";

test("without the firewall the same attacks succeed", { skip: noLibvirt }, async (context) => {
  const scene = await setScene(context, "off");
  assert.match(scene.orchestrator.log(), /FIREWALL=off/);
  const prober = await startActor(scene, "tiny", [
    withPeer(scene),
    ...reachEverything(scene),
    ...pretendAddresses(),
    ...pretendCards(),
    "echo probed",
    ...claimAddress(scene),
    ...claimSpanningTree(scene),
  ]);
  const peer = await startPeer(scene);
  const seen = await prober.probes("probed");
  const closed = Object.keys(seen).filter((name) => seen[name] === "closed");
  // Isolated bridge ports alone keep guests apart.
  assert.deepEqual(closed.sort(), ["peer-arp", "peer-http", "peer-ping"]);
  await prober.until("claimed\n");
  assert.notEqual(await ownerOfAddress(peer.address), peer.mac);
  scene.gate.open("claim-was-seen");
  assert.equal(await rootOfBridge(scene, prober), "the guest's");
});
