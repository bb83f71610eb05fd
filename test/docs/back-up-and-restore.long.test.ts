/**
 * Test of docs/tasks/back-up-and-restore.md with PostgreSQL: a running installation is dumped, lost, and restored
 * with the page's commands.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { noCleanRoot } from "../support/clean-root.ts";
import { codeBlock, codeBlocks, runOnPageHost } from "./page-host.ts";
import { jobWithEverything, printJob, withSecrets } from "./recorded-job.ts";

const page = "back-up-and-restore.md";
const [dump = "", saveFiles = ""] = codeBlocks(page, "Back up hosts with PostgreSQL");
const [restoreDatabase = "", restoreFiles = ""] = codeBlocks(page, "Restore hosts with PostgreSQL");

/** A server of the host itself, on a socket in a directory. */
const startServer = `server=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1)
install -d -o postgres /run/pg
runuser -u postgres -- "$server/initdb" --auth=trust --pgdata=/run/pg/data >/dev/null
runuser -u postgres -- "$server/pg_ctl" --pgdata=/run/pg/data --log=/run/pg/log --wait \\
  --options="-c unix_socket_directories=/run/pg -c listen_addresses=''" start >/dev/null
runuser -u postgres -- createuser --host=/run/pg solstice
runuser -u postgres -- createdb --host=/run/pg --owner solstice solstice
export DATABASE_URL="postgres://solstice@localhost/solstice?host=/run/pg"
echo "DATABASE_URL='$DATABASE_URL'" >>/etc/solstice/orchestrator.env`;

test("hosts with PostgreSQL: jobs, logs, artifacts, secrets and identity are restored", {
  skip: noCleanRoot,
}, async (context) => {
  const step = await runOnPageHost(context, [
    { name: "server", commands: startServer },
    { name: "start", commands: `${withSecrets}\nsystemctl start solstice-orchestrator` },
    { name: "job", commands: jobWithEverything },
    { name: "before", commands: printJob },
    { name: "back up", commands: dump + saveFiles },
    {
      name: "loss",
      commands: `systemctl stop solstice-orchestrator
rm -rf /var/lib/solstice /etc/solstice
install -d -m 0711 /var/lib/solstice
runuser -u postgres -- dropdb --host=/run/pg solstice
runuser -u postgres -- createdb --host=/run/pg --owner solstice solstice`,
    },
    { name: "restore", commands: `${restoreDatabase}${restoreFiles}systemctl start solstice-orchestrator` },
    { name: "after", commands: printJob },
    { name: "see", commands: codeBlock(page, "See that it worked") },
    { name: "secret again", commands: jobWithEverything },
    {
      name: "end",
      commands: `runuser -u postgres -- "$server/pg_ctl" --pgdata=/run/pg/data --mode=fast stop`,
    },
  ]);
  assert.match(step("before"), /^length-11$[\s\S]*[0-9a-f]{64} {2}kept/m);
  assert.equal(step("after"), step("before"));
  assert.match(step("secret again"), /length-11/);
});
