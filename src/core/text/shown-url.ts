/**
 * A URL for messages, logs and listings: without user and password, and without the values of its query and fragment,
 * which sign the requests of many object stores. Text that is not a URL is returned unchanged.
 */
export function shownUrl(text: string): string {
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return text;
  return text.replace(/^([^:]+:\/\/)[^/?#]*@/, "$1").replace(/([?#]).*$/s, "$1***");
}
