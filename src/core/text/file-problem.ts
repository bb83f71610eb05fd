import { errorText } from "../errors.ts";

/** The system's error codes in words for a person who named a file. */
const meanings: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  ENOTDIR: "a part of the path is not a directory",
  EISDIR: "it is a directory",
  EEXIST: "a file with this name exists already",
  EACCES: "permission denied",
  EPERM: "permission denied",
  EROFS: "the file system is read-only",
};

/** The reason why a file cannot be used, in words that continue "cannot read FILE: ". */
export function fileProblem(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return meanings[code] ?? errorText(error);
}

/** True when the system refused because the process lacks a permission, or the file system is read-only. */
export function isPermissionProblem(error: unknown): error is Error & { readonly path?: string } {
  return error instanceof Error && "code" in error && /^(EACCES|EPERM|EROFS)$/.test(String(error.code));
}
