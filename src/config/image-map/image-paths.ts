import { fileURLToPath } from "node:url";

/** True when `text` begins like a URL (`scheme:`), and so is not a path. */
export function isUrl(text: string): boolean {
  return /^[A-Za-z][A-Za-z0-9+.-]*:/.test(text);
}

/** What an image's `source` would have to be, or null when it is right. */
export function sourceProblem(source: string): string | null {
  if (!isUrl(source)) return pathProblem(source);
  const url = URL.parse(source);
  if (url?.protocol === "file:") return fileUrlProblem(url);
  if (url && /^https?:$/.test(url.protocol) && url.hostname !== "") return null;
  return "a http, https or file URL, or a path";
}

/** What a path would have to be, or null when it is right. */
export function pathProblem(path: string): string | null {
  if (path.startsWith("~")) return "a path without ~, such as /srv/images/debian.qcow2";
  if (isUrl(path)) return "a path of this machine, such as /srv/images/debian.qcow2";
  return path.endsWith("/") ? "the path of a file, not of a directory" : null;
}

/** `file://host/path` names another machine's file, and %2F cannot be part of a path: Node refuses both. */
function fileUrlProblem(url: URL): string | null {
  try {
    fileURLToPath(url);
    return null;
  } catch {
    return "a file URL of this machine, such as file:///srv/images/debian.qcow2";
  }
}
