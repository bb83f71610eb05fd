import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { after, before, test } from "node:test";
import { openStandIn, type StandIn } from "./stand-in.ts";
import { must, refuses, runIn } from "./testing.ts";

let standIn: StandIn;
before(async () => {
  standIn = await openStandIn();
  for (const command of [
    ["create", "-o", "solstice:owner=me", "rpool/s"],
    ["create", "-V", "8M", "rpool/s/image"],
    ["snapshot", "rpool/s/image@ready"],
    ["clone", "-o", "solstice:job=7", "rpool/s/image@ready", "rpool/s/disk"],
  ]) {
    await must(standIn, "zfs", ...command);
  }
});
after(() => standIn.close());

const zfs = (args: string, ...expected: (string | number)[]) =>
  refuses(standIn, ["zfs", ...args.split(" ")], ...expected);

test("create refuses with the messages of libzfs", async () => {
  await zfs("create rpool/s", 1, "cannot create 'rpool/s': dataset already exists");
  await zfs("create rpool/none/x", 1, "cannot create 'rpool/none/x': parent does not exist");
  await zfs("create tank/x", 1, "cannot create 'tank/x': no such pool 'tank'");
  await zfs("create rpool/s/image/x", 1, "cannot create 'rpool/s/image/x': parent is not a filesystem");
  await zfs("create rpool/a$b", 1, "cannot create 'rpool/a$b': invalid character '$' in name");
  await zfs("create rpool/s/", 1, "cannot create 'rpool/s/': trailing slash in name");
  await zfs("create -o nonsense=1 rpool/x", 1, "cannot create 'rpool/x': invalid property 'nonsense'");
  await zfs(
    "create -o sync=maybe rpool/x",
    1,
    "cannot create 'rpool/x': 'sync' must be one of 'standard | always | disabled'",
  );
  await zfs(
    "create -V 5000 rpool/x",
    1,
    "cannot create 'rpool/x': volume size must be a multiple of volume block size",
  );
  await zfs("create -V 0 rpool/x", 1, "cannot create 'rpool/x': volume size cannot be zero");
  await zfs("create -V 1T rpool/x", 1, "cannot create 'rpool/x': out of space");
  await zfs("create -s rpool/x", 2, "'-s' and '-b' can only be used when creating a volume");
  await zfs("create", 2, "missing filesystem argument");
  await zfs("nonsense", 2, "unrecognized command 'nonsense'");
});

test("create -p makes missing parents and accepts existing datasets", async () => {
  await must(standIn, "zfs", "create", "-p", "rpool/p/q/r");
  await must(standIn, "zfs", "create", "-p", "rpool/p/q/r");
  assert.match(
    await must(standIn, "zfs", "list", "-H", "-o", "name", "-r", "rpool/p"),
    /^rpool\/p\nrpool\/p\/q\nrpool\/p\/q\/r\n$/,
  );
});

test("volumes that are not sparse reserve their size and metadata; sparse ones and clones only their data", async () => {
  await must(standIn, "zfs", "create", "-V", "1G", "rpool/thick");
  await must(standIn, "zfs", "create", "-s", "-V", "1T", "rpool/thin");
  assert.equal(await must(standIn, "zfs", "list", "-H", "-o", "used", "rpool/thick"), "1.03G\n");
  assert.equal(
    await must(standIn, "zfs", "get", "-H", "-p", "-o", "value", "refreservation", "rpool/thin"),
    "0\n",
  );
  standIn.setPoolBytes(1100 * 1024 ** 2);
  await zfs(
    "set volsize=2G rpool/thick",
    1,
    "cannot set property for 'rpool/thick': out of space",
    "cannot set property for 'rpool/thick': size is greater than available space",
  );
  await must(standIn, "zfs", "set", "volsize=2T", "rpool/thin");
  standIn.setPoolBytes(64 * 1024 ** 3);
});

test("properties: user properties are inherited, also by clones' own parents and by snapshots", async () => {
  const get = (...args: string[]) => must(standIn, "zfs", "get", "-H", "-o", "value,source", ...args);
  assert.equal(await get("solstice:owner", "rpool/s"), "me\tlocal\n");
  assert.equal(await get("solstice:owner", "rpool/s/disk"), "me\tinherited from rpool/s\n");
  assert.equal(await get("solstice:owner", "rpool/s/image@ready"), "me\tinherited from rpool/s\n");
  assert.equal(await get("solstice:none", "rpool/s"), "-\t-\n");
  assert.equal(await get("origin,volsize", "rpool/s/disk"), "rpool/s/image@ready\t-\n8M\tlocal\n");
  assert.equal(
    await get("quota,mountpoint,type", "rpool/s"),
    `none\tdefault\n${standIn.directory}/rpool/s\tdefault\nfilesystem\t-\n`,
  );
  assert.equal(
    await must(standIn, "zfs", "get", "-Hp", "-o", "value", "volsize", "rpool/s/disk"),
    "8388608\n",
  );
  await must(standIn, "zfs", "set", "solstice:owner=you", "rpool/s/disk");
  await must(standIn, "zfs", "inherit", "solstice:owner", "rpool/s/disk");
  assert.equal(await get("solstice:owner", "rpool/s/disk"), "me\tinherited from rpool/s\n");
});

test("set refuses properties that a kind of dataset does not have, and sizes that do not fit", async () => {
  await zfs(
    "set quota=1G rpool/s/disk",
    1,
    "cannot set property for 'rpool/s/disk': 'quota' does not apply to datasets of this type",
  );
  await zfs(
    "set volsize=8000000 rpool/s/disk",
    1,
    "cannot set property for 'rpool/s/disk': 'volsize' must be a multiple of volume block size (8K)",
  );
  await zfs(
    "set quota=1K rpool/s",
    1,
    "cannot set property for 'rpool/s': size is less than current used or reserved space",
  );
  await zfs("set used=1 rpool/s", 1, "cannot set property for 'rpool/s': 'used' is readonly");
  await zfs("set a:b=1 rpool/none", 1, "cannot open 'rpool/none': dataset does not exist");
  await must(standIn, "zfs", "set", "volsize=16M", "rpool/s/disk");
  assert.equal(statSync(standIn.volumeFile("rpool/s/disk")).size, 16 * 1024 ** 2);
  assert.equal(
    statSync(standIn.volumeFile("rpool/s/image")).size,
    8 * 1024 ** 2,
    "its origin keeps its size",
  );
});

test("clone and snapshot refuse", async () => {
  await zfs(
    "clone rpool/s/image@ready rpool/s/disk",
    1,
    "cannot create 'rpool/s/disk': dataset already exists",
  );
  await zfs(
    "clone rpool/s/image@none rpool/s/x",
    1,
    "cannot open 'rpool/s/image@none': dataset does not exist",
  );
  await zfs(
    "clone rpool/s/image@ready rpool/none/x",
    1,
    "cannot create 'rpool/none/x': parent does not exist",
  );
  await zfs(
    "snapshot rpool/s/image@ready",
    1,
    "cannot create snapshot 'rpool/s/image@ready': dataset already exists",
  );
  await zfs("snapshot rpool/none@a", 1, "cannot open 'rpool/none': dataset does not exist");
});

test("destroy refuses with the messages of zfs_main.c, and names the obstacles", async () => {
  await zfs("destroy rpool/none", 1, "cannot open 'rpool/none': dataset does not exist");
  await zfs(
    "destroy rpool/s/image@none",
    1,
    "could not find any snapshots to destroy; check snapshot names.",
  );
  await zfs("destroy rpool/none@x", 1, "cannot open 'rpool/none': dataset does not exist");
  await zfs(
    "destroy rpool/s/image",
    1,
    "cannot destroy 'rpool/s/image': volume has children",
    "use '-r' to destroy the following datasets:",
    "rpool/s/image@ready",
  );
  const clones = ["use '-R' to destroy the following datasets:", "rpool/s/disk"];
  await zfs(
    "destroy -r rpool/s/image",
    1,
    "cannot destroy 'rpool/s/image': volume has dependent clones",
    ...clones,
  );
  await zfs(
    "destroy rpool/s/image@ready",
    1,
    "cannot destroy 'rpool/s/image@ready': snapshot has dependent clones",
    ...clones,
  );
  const { exitCode, stderr } = await runIn(standIn, "zfs", "destroy", "rpool");
  assert.equal(exitCode, 1);
  assert.match(stderr, /^cannot destroy 'rpool': operation does not apply to pools\n/);
  await must(standIn, "zfs", "destroy", "-R", "rpool/s/image@ready");
  assert.equal(
    await must(standIn, "zfs", "list", "-H", "-o", "name", "-t", "all", "-r", "rpool/s"),
    "rpool/s\nrpool/s/image\n",
  );
  await must(standIn, "zfs", "destroy", "rpool/s/image");
});

test("list reports missing names and lists the rest; -d and -t choose", async () => {
  await must(standIn, "zfs", "create", "-p", "rpool/l/m/n");
  const { exitCode, stdout, stderr } = await runIn(
    standIn,
    "zfs",
    "list",
    "-Ho",
    "name",
    "rpool/none",
    "rpool/l",
  );
  assert.deepEqual(
    [exitCode, stdout, stderr],
    [1, "rpool/l\n", "cannot open 'rpool/none': dataset does not exist\n"],
  );
  assert.equal(
    await must(standIn, "zfs", "list", "-H", "-o", "name", "-d", "1", "rpool/l"),
    "rpool/l\nrpool/l/m\n",
  );
  await zfs("list -o nonsense", 2, "bad property list: invalid property 'nonsense'");
  assert.match(await must(standIn, "zpool", "list", "-H", "-o", "name,health"), /^rpool\tONLINE\n$/);
});
