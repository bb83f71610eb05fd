/** Names the variable of the environment that holds the path of the command line which tests start; default: the checkout's own. */
export const programVariable = "SOLSTICE_TEST_PROGRAM";
