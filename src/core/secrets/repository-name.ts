import { parseRepositoryUrl } from "../text/repository-url.ts";
import { withoutTrailing } from "../text/text-ends.ts";
import { starProblem } from "./path-pattern.ts";

const defaultPorts: Readonly<Record<string, number>> = { https: 443, ssh: 22, http: 80, git: 9418 };

/**
 * Deliberately narrower than what git and curl accept: a URL that two programs may read differently (a backslash, two
 * `@`, a percent sign, a query, `..`) has no name, so no pattern can match it.
 */
const urlForm =
  /^(https|ssh|http|git):\/\/(?:[^\s/@?#\\]*@)?([A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:]+\])(?::(\d{1,5}))?\/(\S+)$/;

const segmentForm = /^[A-Za-z0-9._~+-]+$/;

/**
 * The one name of a repository for all spellings of its URL: `host/owner/name`, or with a non-standard port
 * `host:port/owner/name`. The host is in lower case; the path keeps its case, since it may distinguish repositories.
 * User, password, `.git`, the default port and slashes at the end are left out. An attacker in the network can replace
 * data sent over plain HTTP or git's own protocol: those names keep their scheme, and a pattern must have it as well.
 * `git@host:owner/name` has the name of `ssh://git@host/owner/name`: every forge treats both as one repository. Null
 * for a URL of any other form.
 */
export function repositoryName(url: string): string | null {
  const [, scheme = "", host = "", port, rest = ""] = urlForm.exec(withScheme(url)) ?? [];
  const path = withoutTrailing(rest, "/").replace(/(?<=[^/])\.git$/, "");
  const segments = path.split("/");
  if (!segments.every((segment) => segmentForm.test(segment) && !/^\.(\.|git)?$/.test(segment))) return null;
  const shownPort = port === undefined || Number(port) === defaultPorts[scheme] ? "" : `:${Number(port)}`;
  const plain = scheme === "http" || scheme === "git" ? `${scheme}://` : "";
  return `${plain}${host.toLowerCase()}${shownPort}/${path}`;
}

function withScheme(url: string): string {
  const address = parseRepositoryUrl(url);
  if (address?.form !== "scp") return url;
  const port = address.port === null ? "" : `:${address.port}`;
  return `ssh://${address.host}${port}/${address.path.replace(/^\//, "")}`;
}

const patternForm =
  /^(?:(?:http|git):\/\/)?(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:]+\])(?::\d{1,5})?(?:\/[A-Za-z0-9._~+*-]+)+$/;

/** The problem with a pattern of repositories, to follow the word "needs"; null for a valid pattern. */
export function repositoryPatternProblem(pattern: string): string | null {
  if (patternForm.test(pattern) && !pattern.endsWith(".git") && !/\/\.\.?(\/|$)/.test(pattern)) {
    return starProblem(pattern);
  }
  const name = repositoryName(pattern.replace(/^(?:[\w.-]+@)?([\w.-]+):(?!\/\/)/, "ssh://$1/"));
  const example = name ?? "github.com/acme/app or github.com/acme/*";
  return `host/owner/name, the host in lower case and without *, such as ${example}`;
}
