import { defineOptions } from "./option-definition.ts";
import { blobPlace, httpUrl, retention, s3Region, wholeNumber } from "./option-parsers.ts";

/** The place and the limits of jobs' files. */
export const blobOptions = defineOptions("Files of jobs:", {
  blobStore: {
    placeholder: "PLACE",
    description:
      "the place of artifacts and caches: a directory of this host, or s3://BUCKET/PREFIX, which all hosts share",
    defaultText: null,
    defaultNote: "files in the data directory",
    parse: blobPlace,
  },
  s3Endpoint: {
    placeholder: "URL",
    description:
      "the S3-compatible server of an s3:// place; its credentials come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    defaultText: null,
    defaultNote: "AWS's server in the region",
    parse: httpUrl,
  },
  s3Region: {
    placeholder: "REGION",
    description: "the region of the bucket",
    defaultText: "us-east-1",
    parse: s3Region,
  },
  artifactFileLimitMb: {
    placeholder: "MB",
    description: "largest file kept as an artifact, in MiB",
    defaultText: "1024",
    parse: wholeNumber(0, 1_000_000_000),
  },
  artifactJobLimitMb: {
    placeholder: "MB",
    description: "largest total size of the artifacts of one job, in MiB",
    defaultText: "4096",
    parse: wholeNumber(0, 1_000_000_000),
  },
  artifactStoreLimitMb: {
    placeholder: "MB",
    description:
      "largest total size of all artifacts on this host, or in the bucket, in MiB; further artifacts are refused",
    defaultText: "20480",
    parse: wholeNumber(0, 1_000_000_000),
  },
  artifactRetention: {
    placeholder: "TIME",
    description: "time that an artifact is kept; 0: as long as its job",
    defaultText: "30d",
    parse: retention,
  },
});
