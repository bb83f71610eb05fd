import type { BlobPlace } from "../orchestrator-config.ts";
import type { OptionDefinition } from "./option-definition.ts";
import { blobPlace, httpUrl, retention, s3Region, wholeNumber } from "./option-parsers.ts";

const blobs = "Files of jobs:";

/** The place and the limits of jobs' files. */
export const blobOptions = {
  blobStore: {
    flag: "blob-store",
    placeholder: "PLACE",
    environment: "BLOB_STORE",
    group: blobs,
    description:
      "the place of artifacts and caches: a directory of this host, or s3://BUCKET/PREFIX, which all hosts share",
    defaultText: null,
    defaultNote: "files in the data directory",
    parse: blobPlace,
  } as const satisfies OptionDefinition<BlobPlace>,
  s3Endpoint: {
    flag: "s3-endpoint",
    placeholder: "URL",
    environment: "S3_ENDPOINT",
    group: blobs,
    description:
      "the S3-compatible server of an s3:// place; its credentials come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    defaultText: null,
    defaultNote: "AWS's server in the region",
    parse: httpUrl,
  } as const satisfies OptionDefinition<string>,
  s3Region: {
    flag: "s3-region",
    placeholder: "REGION",
    environment: "S3_REGION",
    group: blobs,
    description: "the region of the bucket",
    defaultText: "us-east-1",
    parse: s3Region,
  } as const satisfies OptionDefinition<string>,
  artifactFileLimitMb: {
    flag: "artifact-file-limit-mb",
    placeholder: "MB",
    environment: "ARTIFACT_FILE_LIMIT_MB",
    group: blobs,
    description: "largest file kept as an artifact, in MiB",
    defaultText: "1024",
    parse: wholeNumber(0, 1_000_000_000),
  } as const satisfies OptionDefinition<number>,
  artifactJobLimitMb: {
    flag: "artifact-job-limit-mb",
    placeholder: "MB",
    environment: "ARTIFACT_JOB_LIMIT_MB",
    group: blobs,
    description: "largest total size of the artifacts of one job, in MiB",
    defaultText: "4096",
    parse: wholeNumber(0, 1_000_000_000),
  } as const satisfies OptionDefinition<number>,
  artifactStoreLimitMb: {
    flag: "artifact-store-limit-mb",
    placeholder: "MB",
    environment: "ARTIFACT_STORE_LIMIT_MB",
    group: blobs,
    description:
      "largest total size of all artifacts on this host, or in the bucket, in MiB; further artifacts are refused",
    defaultText: "20480",
    parse: wholeNumber(0, 1_000_000_000),
  } as const satisfies OptionDefinition<number>,
  artifactRetention: {
    flag: "artifact-retention",
    placeholder: "TIME",
    environment: "ARTIFACT_RETENTION",
    group: blobs,
    description: "time that an artifact is kept; 0: as long as its job",
    defaultText: "30d",
    parse: retention,
  } as const satisfies OptionDefinition<number>,
};
