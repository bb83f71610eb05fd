/** Names the environment variable that holds, as a JSON array, the paths of the files that run in one process. */
export const filesVariable = "SOLSTICE_TEST_FILES";
