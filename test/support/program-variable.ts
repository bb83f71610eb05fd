/** Names the environment variable with the path of the command line that tests start; default: the checkout's own. */
export const programVariable = "SOLSTICE_TEST_PROGRAM";
