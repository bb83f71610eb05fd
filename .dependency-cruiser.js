/** The design's import table as data: which part may import which. Each rule says what to do instead. */
const mayImport = {
  core: [],
  gen: [],
  host: ["core"],
  config: ["core"],
  store: ["core"],
  queue: ["core", "config"],
  images: ["core", "config", "host"],
  blobs: ["core", "config", "host"],
  libvirt: [],
  hypervisor: ["core", "config", "host", "libvirt"],
  guest: ["core", "config", "host"],
  demo: ["core", "host"],
  http: ["core"],
  access: ["core", "http"],
  attempts: ["core", "gen", "host", "store", "blobs", "http", "access"],
  api: ["core", "gen", "host", "store", "blobs", "http", "access", "attempts"],
  orchestrator: [
    "core",
    "gen",
    "host",
    "config",
    "store",
    "queue",
    "images",
    "blobs",
    "libvirt",
    "hypervisor",
    "guest",
    "http",
    "access",
    "attempts",
    "api",
  ],
  cli: ["core", "gen", "host", "config", "store", "queue", "images", "libvirt", "orchestrator", "demo"],
};

/** Which folder of a part may import which of its siblings; any of them may import the files directly in `src/PART`. */
const mayImportInside = {
  core: {
    text: [],
    request: ["cache", "text"],
    job: ["request"],
    "image-map": ["job", "text"],
    hosts: ["image-map", "job", "text"],
    schedule: ["hosts", "image-map", "job", "text"],
    secrets: ["job", "request", "text"],
    cache: ["text"],
    audit: ["job"],
  },
  cli: {
    print: [],
    api: ["print"],
    words: [],
    installation: ["api", "print"],
    request: ["api", "print"],
    follow: ["api", "print"],
    artifacts: ["api", "print"],
    shell: ["api", "print"],
    doctor: ["api", "installation", "print"],
    commands: ["api", "artifacts", "doctor", "follow", "installation", "print", "request", "shell", "words"],
  },
  store: {
    schema: ["files"],
    sqlite: ["schema"],
    postgres: ["schema"],
    jobs: ["schema"],
    files: ["jobs", "schema"],
    logs: ["jobs", "schema"],
    hosts: ["jobs", "schema"],
    outbox: ["files", "jobs", "schema"],
    deliveries: ["schema"],
  },
  config: {
    yaml: [],
    options: [],
    "image-map": ["yaml"],
    secrets: ["yaml"],
    reload: ["options"],
  },
};

const advice = {
  core: "core is pure: pass the value or the function in from the part that does the I/O.",
  libvirt: "libvirt is a library of its own: let src/hypervisor/libvirt adapt it.",
  api: "api records facts and wakes loops: let main.ts inject what it needs.",
};

const direction = Object.entries(mayImport).map(([part, allowed]) => ({
  name: `direction-${part}`,
  comment: `src/${part} may import only: ${["itself", ...allowed].join(", ")}. ${advice[part] ?? "Move the code to a lower part, or inject it."}`,
  severity: "error",
  from: { path: `^src/${part}/`, pathNot: "\\.test\\.ts$|/testing/" },
  to: { path: "^(src|test|bench)/", pathNot: `^src/(${[part, ...allowed].join("|")})/` },
}));

const inside = Object.entries(mayImportInside).flatMap(([part, folders]) =>
  Object.entries(folders).map(([folder, allowed]) => ({
    name: `direction-${part}-${folder}`,
    comment: `src/${part}/${folder} may import of src/${part} only: ${[folder, ...allowed, `src/${part}/*.ts`].join(", ")}. Move what both need to the lower folder.`,
    severity: "error",
    from: { path: `^src/${part}/${folder}/`, pathNot: "\\.test\\.ts$|/testing/" },
    to: { path: `^src/${part}/[^/]+/`, pathNot: `^src/${part}/(${[folder, ...allowed].join("|")})/` },
  })),
);

/** @type {import("dependency-cruiser").IConfiguration} */
export default {
  forbidden: [
    ...direction,
    ...inside,
    {
      name: "no-cycles",
      comment:
        "Two files that need each other are one idea, or a third one is missing: take out what both need.",
      severity: "error",
      from: {},
      to: { circular: true },
    },
    {
      name: "backends-know-no-sibling",
      comment:
        "A backend shares only the interface with its siblings: move what two need to src/hypervisor or src/host.",
      severity: "error",
      from: { path: "^src/hypervisor/([^/]+)/", pathNot: "\\.test\\.ts$" },
      to: { path: "^src/hypervisor/[^/]+/", pathNot: "^src/hypervisor/$1/" },
    },
    {
      name: "core-does-no-io",
      comment: "core decides, others act: take the file, the clock or the network as an argument.",
      severity: "error",
      from: { path: "^src/core/", pathNot: "\\.test\\.ts$" },
      to: { dependencyTypes: ["core"] },
    },
    {
      name: "one-masker",
      comment:
        "What a job writes is masked by src/attempts/output/masked-stream.ts: store it, or show it, through that.",
      severity: "error",
      from: { path: "^src/", pathNot: "\\.test\\.ts$|^src/attempts/output/masked-stream\\.ts$" },
      to: { path: "^src/core/secrets/masker\\.ts$" },
    },
    {
      name: "no-test-code-in-products",
      comment: "Tests may use the product, never the other way round.",
      severity: "error",
      from: { path: "^src/", pathNot: "\\.test\\.ts$|/testing/" },
      to: { path: "\\.test\\.ts$|/testing/" },
    },
    {
      name: "declared-dependencies-only",
      comment: "Add the package to package.json, or do without it.",
      severity: "error",
      from: { path: "^src/" },
      to: { dependencyTypes: ["npm-no-pkg", "npm-unknown", "unknown", "undetermined"] },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: {
      extensions: [".ts", ".js"],
      exportsFields: ["exports"],
      conditionNames: ["import", "node", "default"],
    },
  },
};
