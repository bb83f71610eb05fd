/** The address of a repository, as git reads it. */
export interface RepositoryAddress {
  /** `scp`: git's short form of ssh, whose path begins at the login's home unless it begins with a `/`. */
  readonly form: "https" | "http" | "ssh" | "git" | "scp";
  /** User and password as written, without the `@`; empty for none. */
  readonly login: string;
  /** In lower case; an IPv6 address has its brackets. */
  readonly host: string;
  readonly port: string | null;
  /** As written; for a URL, with its leading `/`. */
  readonly path: string;
}

const urlForm = /^(https?|ssh|git):\/\/([^\s\p{Cc}/?#]+)([^\s\p{Cc}]*)$/u;

/**
 * `user@host:path`, with brackets around a host that has colons: `[user@host:2222]:path`, `user@[2001:db8::1]:path`
 * (git's connect.c). No part begins with a dash, which ssh would read as an option; no path has `//` or `:`, or URLs
 * and git's remote helpers (`ext::`) would match.
 */
const scpForm =
  /^(?:([A-Za-z0-9_][\w.+-]*@)?([A-Za-z0-9_][\w.-]*|\[[0-9A-Fa-f]*:[0-9A-Fa-f:.]+\])|\[([A-Za-z0-9_][\w.+-]*@)?([A-Za-z0-9_][\w.-]*)(?::(\d{1,5}))?\]):(?!\/\/|[-:])([^\s\p{Cc}]+)$/u;

/** Parses a URL or scp form that git in a guest can fetch from; null for any other text. */
export function parseRepositoryUrl(text: string): RepositoryAddress | null {
  return parseUrl(text) ?? parseScp(text);
}

function parseUrl(text: string): RepositoryAddress | null {
  const [, form, authority = "", path = ""] = urlForm.exec(text) ?? [];
  if (form === undefined) return null;
  const at = authority.lastIndexOf("@");
  const [, host = "", port = null] =
    /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/.exec(authority.slice(at + 1).toLowerCase()) ?? [];
  const login = authority.slice(0, Math.max(0, at));
  return { form: form as RepositoryAddress["form"], login, host, port, path };
}

function parseScp(text: string): RepositoryAddress | null {
  const found = scpForm.exec(text);
  if (found === null) return null;
  const login = (found[1] ?? found[3] ?? "").replace(/@$/, "");
  const host = (found[2] ?? found[4] ?? "").toLowerCase();
  // Without a login, a word before a colon may be something else, such as the scheme of another program's URL.
  if (login === "" && !/[.[]/.test(host) && found[5] === undefined) return null;
  return { form: "scp", login, host, port: found[5] ?? null, path: found[6] ?? "" };
}
