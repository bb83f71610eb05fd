import { hostname } from "node:os";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { DescribeHostResponseSchema } from "../../gen/solstice/v1/jobs_pb.ts";
import { projectVersion } from "../../host/version.ts";
import type { Context } from "../context.ts";
import { describeImages } from "./host-images.ts";

/** The answer of the API's DescribeHost. */
export type DescribeHost = (options: {
  images: boolean;
}) => Promise<MessageInitShape<typeof DescribeHostResponseSchema>>;

/** Creates the answers of DescribeHost. Concurrent callers share one inspection of the disk. */
export function createHostDescription(context: Context): DescribeHost {
  const { identity, hypervisor } = context;
  let inspecting: ReturnType<typeof describeImages> | null = null;
  const inspect = () => {
    const { imageMap, dataDir } = context.config;
    inspecting ??= describeImages({ imageMap, dataDir, backend: hypervisor.backend }).finally(() => {
      inspecting = null;
    });
    return inspecting;
  };
  return async ({ images }) => ({
    hostId: identity.hostId,
    hostname: hostname(),
    version: projectVersion(),
    backend: hypervisor.backend,
    ...configured(context.config),
    images: images ? await inspect() : [],
  });
}

function configured({ dataDir, configPath, imageMapSha256, settings }: Context["config"]) {
  return {
    dataDir,
    imageMapPath: configPath,
    imageMapSha256,
    settings: settings.map(({ flag, value }) => ({ flag, value: value ?? "", secret: value === null })),
  };
}
