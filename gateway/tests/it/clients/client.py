"""What an application does with notion-client, which only knows the gateway's address and a key.

It says on its output what the test is to do to Notion, and waits until that is done.
"""

import asyncio
import sys

from notion_client import APIErrorCode, APIResponseError, AsyncClient, Client
from notion_client.helpers import iterate_paginated_api

base_url, key, cold = sys.argv[1:]


def ask(what):
    print(what, flush=True)
    assert sys.stdin.readline() == "done\n"


def fails(call, code):
    try:
        call()
    except APIResponseError as error:
        assert error.code == code, error
    else:
        raise AssertionError("it did not fail")


notion = Client(auth=key, base_url=base_url)
assert notion.users.me()["type"] == "bot"
page = notion.pages.create(
    parent={"workspace": True},
    properties={"title": {"title": [{"text": {"content": "Written through the gateway"}}]}},
)
assert notion.pages.retrieve(page["id"])["id"] == page["id"]
assert any(it["id"] == page["id"] for it in notion.search()["results"])
assert len(list(iterate_paginated_api(notion.users.list, page_size=2))) == 3


async def many():
    async with AsyncClient(auth=key, base_url=base_url) as client:
        calls = [asyncio.ensure_future(client.users.me()) for _ in range(50)]
        await asyncio.sleep(0)
        await asyncio.to_thread(ask, "revoke the access token")
        calls += [asyncio.ensure_future(client.search()) for _ in range(50)]
        return await asyncio.gather(*calls)


assert len(asyncio.run(many())) == 100

ask("end the connection")
fails(notion.users.me, APIErrorCode.Unauthorized)

ask("stop the store")
other = Client(auth=cold, base_url=base_url, retry=False)
fails(other.users.me, APIErrorCode.ServiceUnavailable)
print("finished", flush=True)
