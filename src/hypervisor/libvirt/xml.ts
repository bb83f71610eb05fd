import XMLBuilder from "fast-xml-builder";
import { XMLParser, XMLValidator } from "fast-xml-parser";

/** `suppressBooleanAttributes` would drop the value of an attribute whose text is `true`. */
const builder = new XMLBuilder({
  ignoreAttributes: false,
  attributeNamePrefix: "@",
  textNodeName: "#",
  suppressEmptyNode: true,
  suppressBooleanAttributes: false,
});

/** Elements that are parsed as an array even when there is only one. */
const repeatable: readonly string[] = ["ip"];

const parser = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: "",
  removeNSPrefix: true,
  parseAttributeValue: false,
  isArray: (name) => repeatable.includes(name),
});

/** Writes XML. Keys that begin with `@` are attributes, `#` is the text of an element; values are escaped. */
export function buildXml(document: object): string {
  return builder.build(document);
}

/**
 * Parses libvirt's XML: attributes and elements become properties, with names without prefix. Returns an empty object for
 * text that is not XML.
 */
export function parseXml(text: string): ReturnType<XMLParser["parse"]> {
  return XMLValidator.validate(text) === true ? parser.parse(text) : {};
}
