import { errorText } from "../errors.ts";

/** What the system's error codes mean for a person who named a file. */
const meanings: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  ENOTDIR: "a part of the path is no directory",
  EISDIR: "it is a directory",
  EEXIST: "there is a file in its place",
  EACCES: "permission denied",
  EPERM: "permission denied",
  EROFS: "the file system is read-only",
};

/** Why a file cannot be used, in words that continue "cannot read FILE: ". */
export function fileProblem(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return meanings[code] ?? errorText(error);
}

/** Whether the system refused because of who asks, or because nobody may write there. */
export function isPermissionProblem(error: unknown): error is Error & { readonly path?: string } {
  return error instanceof Error && "code" in error && /^(EACCES|EPERM|EROFS)$/.test(String(error.code));
}
