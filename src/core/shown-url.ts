/** What stands in a message for what is left out of a URL. */
const hidden = "***";

/**
 * A URL as messages, logs and listings may show it: without user and password, and without the values of its query and
 * its fragment, which sign the requests of many object stores. Text that is no URL is returned as it is.
 */
export function shownUrl(url: string): string {
  const parsed = URL.parse(url);
  if (parsed === null || !/^[a-z][a-z0-9+.-]*:\/\//i.test(url)) return url;
  parsed.username = "";
  parsed.password = "";
  if (parsed.search !== "") parsed.search = `?${hidden}`;
  if (parsed.hash !== "") parsed.hash = `#${hidden}`;
  return parsed.href;
}
