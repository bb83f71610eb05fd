import { fileURLToPath } from "node:url";

/** True when `text` begins like a URL (`scheme:`) and so is no path. */
export function isUrl(text: string): boolean {
  return /^[A-Za-z][A-Za-z0-9+.-]*:/.test(text);
}

/** A description of a valid `source`, or null if `source` is valid. */
export function sourceProblem(source: string): string | null {
  if (!isUrl(source)) return pathProblem(source);
  const url = URL.parse(source);
  if (url?.protocol === "file:") return fileUrlProblem(url);
  if (url && /^https?:$/.test(url.protocol) && url.hostname !== "") return null;
  return "a http, https or file URL, or a path";
}

/** A description of a valid path, or null if `path` is valid. */
export function pathProblem(path: string): string | null {
  if (path.startsWith("~")) return "a path without ~, such as /srv/images/debian.qcow2";
  if (isUrl(path)) return "a path of this machine, such as /srv/images/debian.qcow2";
  return path.endsWith("/") ? "the path of a file, not of a directory" : null;
}

/** Refuses `file://host/path`, which names a file of another machine, and %2F, which no path can contain. Node rejects both. */
function fileUrlProblem(url: URL): string | null {
  try {
    fileURLToPath(url);
    return null;
  } catch {
    return "a file URL of this machine, such as file:///srv/images/debian.qcow2";
  }
}
