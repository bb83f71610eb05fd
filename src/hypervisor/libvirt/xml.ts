import XMLBuilder from "fast-xml-builder";
import { XMLParser, XMLValidator } from "fast-xml-parser";

/** `suppressBooleanAttributes` would write an attribute whose value is the text `true` without its value. */
const builder = new XMLBuilder({
  ignoreAttributes: false,
  attributeNamePrefix: "@",
  textNodeName: "#",
  suppressEmptyNode: true,
  suppressBooleanAttributes: false,
});

/** Elements that are an array also where there is one of them. */
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
 * Reads XML of libvirt's: attributes and elements are properties by their names without prefix. An empty object for text that is
 * not XML.
 */
export function parseXml(text: string): ReturnType<XMLParser["parse"]> {
  return XMLValidator.validate(text) === true ? parser.parse(text) : {};
}
