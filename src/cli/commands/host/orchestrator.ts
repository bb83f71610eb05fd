import { orchestratorOptions } from "../../../config/options/options.ts";
import { createConfigSource } from "../../../config/reload/config-source.ts";
import { examplesText, type RegisterCommand } from "../../command.ts";
import { addOptions, flagsGiven } from "../../option-flags.ts";

/** `solstice orchestrator`: the daemon. */
export const registerOrchestrator: RegisterCommand = (program, context) => {
  const command = program
    .command("orchestrator")
    .summary("start the daemon that runs jobs on this host")
    .description(
      "Starts the daemon that takes jobs and runs each in a fresh virtual machine on this host. SIGTERM or SIGINT stops " +
        "the daemon gracefully, a second signal at once. SIGUSR2 stops it for a restart: its guests continue to run, and the " +
        "next start adopts them. SIGHUP reads the image map, the API token and the secrets again.",
    );
  addOptions(command, orchestratorOptions)
    .addHelpText(
      "after",
      examplesText([
        ["solstice orchestrator", "the example image map, two jobs at a time, API on 127.0.0.1:7410"],
        [
          "solstice orchestrator --config images.yaml --max-concurrency 8 --capacity-map illumos-latest=2",
          "your own images, eight jobs at a time, but only two of one label",
        ],
        [
          "API_TOKEN=$(cat /etc/solstice/token) solstice orchestrator --api-listen 0.0.0.0:7410",
          "an API for other machines, which must send the token",
        ],
      ]),
    )
    .action(async () => {
      const source = createConfigSource(flagsGiven(command), context.env);
      const config = await source.load();
      // Loaded only here: the other commands do not need the daemon's modules, and start faster without them.
      const { runOrchestrator } = await import("../../../orchestrator/main.ts");
      context.setExitCode(await runOrchestrator(config, source));
    });
};
