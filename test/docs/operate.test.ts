/** Tests the task pages on the image map and on tokens: runs their commands unchanged, with a running orchestrator. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { noCleanRoot } from "../support/clean-root.ts";
import { codeBlock, codeBlocks, runOnPageHost } from "./page-host.ts";

const secretsFile = `cat >/etc/solstice/secrets.yaml <<END
secrets:
  DEPLOY_KEY: { value: first-value, without_repository: true }
END
chmod 600 /etc/solstice/secrets.yaml
echo SECRETS_FILE=/etc/solstice/secrets.yaml >>/etc/solstice/orchestrator.env`;

/** A job that prints the length of its secret: the value itself would be masked. */
const showSecret =
  "solstice enqueue --no-repo --secret DEPLOY_KEY --script 'printf length-; printf %s \"$DEPLOY_KEY\" | wc -c' --wait";

test("change-the-image-map.md and rotate-tokens.md: reloads apply images, secrets and the API token", {
  skip: noCleanRoot,
}, async (context) => {
  const image = codeBlock("change-the-image-map.md", "Add an image", "yaml");
  const [reloadMap = "", seeImages = ""] = codeBlocks("change-the-image-map.md", "Add an image");
  const [rotate = "", seeToken = ""] = codeBlocks("rotate-tokens.md", "The API token");
  const step = await runOnPageHost(context, [
    { name: "start", commands: `${secretsFile}\nsystemctl start solstice-orchestrator\nsolstice capacity` },
    { name: "reload map", commands: `cat >>/etc/solstice/images.yaml <<'END'\n${image}END\n${reloadMap}` },
    { name: "images", commands: seeImages },
    { name: "first secret", commands: showSecret },
    {
      name: "rotate secret",
      commands: `sed -i s/first-value/second-value/ /etc/solstice/secrets.yaml\n${codeBlock("rotate-tokens.md", "A secret of jobs")}`,
    },
    { name: "second secret", commands: showSecret },
    { name: "set token", commands: rotate },
    { name: "with token", commands: seeToken },
    { name: "rotate token", commands: `old=$token\n${rotate}` },
    { name: "old token", commands: "API_TOKEN=$old solstice capacity || echo $?" },
    { name: "new token", commands: seeToken },
    {
      name: "restart",
      commands: `export API_TOKEN=$token\n${codeBlock("rotate-tokens.md", "The password of the database or the broker")}`,
    },
  ]);
  assert.match(step("reload map"), /reloaded: images: 1 added \(debian-13\)/);
  assert.match(step("images"), /^debian-13 /m);
  assert.match(step("first secret"), /^length-11$/m);
  assert.match(step("rotate secret"), /reloaded: secrets: 1 changed \(DEPLOY_KEY\)/);
  assert.doesNotMatch(step("rotate secret"), /second-value/);
  assert.match(step("second secret"), /^length-12$/m);
  assert.match(step("set token"), /the API token was set/);
  assert.match(step("with token"), /running, 0 waiting/);
  assert.match(step("rotate token"), /the API token was changed/);
  assert.match(step("old token"), /The API token is wrong[\s\S]*\n77$/);
  assert.match(step("new token"), /running, 0 waiting/);
  assert.match(step("restart"), /^ok {4}configuration: /m);
});
