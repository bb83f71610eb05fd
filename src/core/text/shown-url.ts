/**
 * A URL as messages, logs and listings may show it: without user and password, and without the values of its query and
 * its fragment, which sign the requests of many object stores. Text that is no URL is returned as it is.
 */
export function shownUrl(text: string): string {
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return text;
  return text.replace(/^([^:]+:\/\/)[^/?#]*@/, "$1").replace(/([?#]).*$/s, "$1***");
}
