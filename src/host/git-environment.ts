/**
 * Variables that git sets for its hooks and aliases. They override the repository that the arguments name. All
 * variables of `git rev-parse --local-env-vars` are removed except the configuration that the caller chose, as git does
 * for a submodule.
 */
const variablesOfAnotherRepository = [
  "GIT_ALTERNATE_OBJECT_DIRECTORIES",
  "GIT_COMMON_DIR",
  "GIT_CONFIG",
  "GIT_DIR",
  "GIT_GRAFT_FILE",
  "GIT_IMPLICIT_WORK_TREE",
  "GIT_INDEX_FILE",
  "GIT_INTERNAL_SUPER_PREFIX",
  "GIT_NAMESPACE",
  "GIT_NO_REPLACE_OBJECTS",
  "GIT_OBJECT_DIRECTORY",
  "GIT_PREFIX",
  "GIT_QUARANTINE_PATH",
  "GIT_REPLACE_REF_BASE",
  "GIT_SHALLOW_FILE",
  "GIT_WORK_TREE",
];

/** Changes to the environment that make git use only the repository that its arguments name. */
export const gitEnvironment: Readonly<Record<string, undefined>> = Object.fromEntries(
  variablesOfAnotherRepository.map((name) => [name, undefined]),
);
