import assert from "node:assert/strict";
import { test } from "node:test";
import { isSolsticeError } from "../../core/errors.ts";
import { continuationHeaders, readAnswer } from "./http-answer.ts";

const known = { etag: '"one"', lastModified: null, totalBytes: 1000 };
const partial = (range: string, etag = '"one"') => ({
  statusCode: 206,
  headers: { "content-range": range, etag },
});

test("a range continues only with the right start and the same version", () => {
  const kind = (range: string, etag?: string) => readAnswer(partial(range, etag), 400, known).kind;
  assert.equal(kind("bytes 400-999/1000"), "rest");
  assert.equal(kind("bytes 400-599/1000"), "rest", "a server may send less than requested");
  assert.equal(kind("bytes 400-999/*"), "rest");
  assert.equal(kind("bytes 393-999/1000"), "start_over");
  assert.equal(kind("bytes 400-999/1001"), "start_over");
  assert.equal(kind("bytes 400-999/1000", '"two"'), "start_over");
  assert.equal(kind("nonsense"), "start_over");
});

test("a range that was not requested is the beginning of the file, or unusable", () => {
  const answer = (range: string) => readAnswer(partial(range), 0, { ...known, etag: null });
  const version = { etag: '"one"', lastModified: null, totalBytes: 1000 };
  assert.deepEqual(answer("bytes 0-999/1000"), { kind: "whole", version });
  assert.deepEqual(answer("bytes 0-99/1000"), { kind: "whole", version });
  assert.throws(() => answer("bytes 5-999/1000"), /answered 206/);
  assert.throws(() => answer("bytes 0-99/*"), /answered 206/);
});

test("a range beyond the end means a complete file, or a file that became shorter", () => {
  const kind = (range?: string) =>
    readAnswer({ statusCode: 416, headers: { "content-range": range } }, 1000, known).kind;
  assert.equal(kind("bytes */1000"), "nothing_missing");
  assert.equal(kind("bytes */900"), "start_over");
  assert.equal(kind(), "start_over");
});

test("refusals are classified as temporary or permanent", () => {
  const refusal = (statusCode: number, haveBytes: number) => {
    try {
      return readAnswer({ statusCode, headers: {} }, haveBytes, known).kind;
    } catch (error) {
      return isSolsticeError(error) ? error.code : error;
    }
  };
  for (const status of [400, 401, 403, 404, 410, 416]) assert.equal(refusal(status, 0), "not_found");
  for (const status of [408, 429, 500, 503, 204, 206])
    assert.equal(refusal(status, 0), "image_download_failed");
});

test("a continuation names the version by the strongest validator that the server sent", () => {
  const range = "bytes=400-";
  const lastModified = "Sat, 01 Nov 2025 10:00:00 GMT";
  assert.deepEqual(continuationHeaders(0, known, false), {});
  assert.deepEqual(continuationHeaders(400, known, false), { range, "if-range": '"one"' });
  const weak = { ...known, etag: 'W/"one"' };
  assert.deepEqual(continuationHeaders(400, { ...weak, lastModified }, false), {
    range,
    "if-range": lastModified,
  });
  assert.deepEqual(continuationHeaders(400, weak, true), { range });
  assert.equal(continuationHeaders(400, weak, false), null);
});
