// What an application does with @notionhq/client, which only knows the gateway's address and a key.
// It says on its output what the test is to do to Notion, and waits until that is done.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const [modules, baseUrl, key, cold] = process.argv.slice(2);
const { Client, APIResponseError, APIErrorCode, iteratePaginatedAPI } = createRequire(modules)("@notionhq/client");
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const ask = async (what) => {
  console.log(what);
  assert.equal((await lines.next()).value, "done");
};
const fails = async (call, code) => {
  const error = await call.then(() => assert.fail("it did not fail"), (error) => error);
  assert(APIResponseError.isAPIResponseError?.(error) ?? error instanceof APIResponseError, error);
  assert.equal(error.code, code, error);
};

const notion = new Client({ auth: key, baseUrl });
assert.equal((await notion.users.me({})).type, "bot");
const page = await notion.pages.create({
  parent: { workspace: true },
  properties: { title: { title: [{ text: { content: "Written through the gateway" } }] } },
});
assert.equal((await notion.pages.retrieve({ page_id: page.id })).id, page.id);
assert((await notion.search({})).results.some((it) => it.id === page.id));
let users = 0;
for await (const _ of iteratePaginatedAPI(notion.users.list, { page_size: 2 })) users += 1;
assert.equal(users, 3);

const calls = [];
for (let n = 0; n < 50; n += 1) calls.push(notion.users.me({}));
await ask("revoke the access token");
for (let n = 0; n < 50; n += 1) calls.push(notion.search({}));
assert.equal((await Promise.all(calls)).length, 100);

await ask("end the connection");
await fails(notion.users.me({}), APIErrorCode.Unauthorized);

await ask("stop the store");
const other = new Client({ auth: cold, baseUrl, retry: false });
await fails(other.users.me({}), APIErrorCode.ServiceUnavailable);
console.log("finished");
