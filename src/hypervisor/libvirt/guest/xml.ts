import XMLBuilder from "fast-xml-builder";

/** `suppressBooleanAttributes` would write an attribute whose value is the text `true` without its value. */
const builder = new XMLBuilder({
  ignoreAttributes: false,
  attributeNamePrefix: "@",
  textNodeName: "#",
  suppressEmptyNode: true,
  suppressBooleanAttributes: false,
});

/** Writes XML. Keys that begin with `@` are attributes, `#` is the text of an element; values are escaped. */
export function buildXml(document: object): string {
  return builder.build(document);
}
