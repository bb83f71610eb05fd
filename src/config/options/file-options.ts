import { defineOptions } from "./option-definition.ts";
import { environmentFile, path } from "./option-parsers.ts";

/** The files that an orchestrator reads and writes. */
export const fileOptions = defineOptions("Files:", {
  config: {
    placeholder: "FILE",
    environment: "ORCH_CONFIG",
    description: "the image map: labels, sizes and images",
    defaultText: null,
    defaultNote: "examples/orchestrator-image-map.yaml of this installation",
    parse: path,
  },
  dataDir: {
    placeholder: "DIR",
    environment: "SOLSTICE_DATA_DIR",
    description: "the directory of images, the database and running guests' disks",
    defaultText: null,
    defaultNote: "/var/lib/solstice as root, else $XDG_STATE_HOME/solstice or ~/.local/state/solstice",
    parse: path,
  },
  secretsFile: {
    placeholder: "FILE",
    description:
      "the file of secrets, with the jobs that may use each; only the orchestrator's user may read it",
    defaultText: null,
    defaultNote: "none: no job gets a secret",
    parse: path,
  },
  environmentFile: {
    placeholder: "FILE",
    description:
      "more variables, as NAME=value lines (systemd's EnvironmentFile=), with priority over the environment; -FILE may be absent",
    defaultText: null,
    defaultNote: "none",
    parse: environmentFile,
  },
});
