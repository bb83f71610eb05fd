import { after, before, describe } from "node:test";
import { createLibvirtClient } from "./client.ts";
import { testConsoleContract, testDomainContract } from "./testing/contract.ts";
import { startFakeHypervisor } from "./testing/fake-hypervisor.ts";
import type { FakeLibvirtServer } from "./testing/fake-server.ts";

describe("fake hypervisor", () => {
  let server: FakeLibvirtServer;
  before(async () => {
    server = await startFakeHypervisor();
  });
  after(() => server.remove());
  testDomainContract(() => createLibvirtClient({ uri: server.uri }), false);
  testConsoleContract(() => createLibvirtClient({ uri: server.uri }), false);
});
