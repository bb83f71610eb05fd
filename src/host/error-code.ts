/** Whether an error is one of the system's with one of these codes, such as `ENOENT`: how Node tells what a file system said. */
export function hasErrorCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && "code" in error && codes.includes(String(error.code));
}
