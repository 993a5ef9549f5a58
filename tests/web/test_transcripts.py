"""Golden transcripts: recorded exchanges between client and server must be repeated word for word.

A line is a message of the `server`, an expected message of the `client` ("*" matches any value), an action to `do` in
the page, an expression that `is` to have a given value eventually, or a `close` of the socket by the server.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from sfu.api import signaling
from tests.web.scripted import ScriptedServer, Session

pytestmark = pytest.mark.asyncio(loop_scope="module")

FOLDER = Path(__file__).parent / "transcripts"
LATER_KINDS = {"something-of-a-later-version"}


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.iterdir()))
async def test_a_transcript_replays(page: Page, server: ScriptedServer, name: str) -> None:
    session: Session | None = None
    for number, line in enumerate((FOLDER / name).read_text().splitlines(), 1):
        step: dict[str, Any] = json.loads(line)
        where = f"{name}:{number}"
        if "do" in step:
            await page.evaluate(f"() => {{ {step['do']} }}")
        elif "is" in step:
            await _becomes(page, step["is"], step["value"], where)
        else:
            session = session or await server.session()
            if "close" in step:
                await session.socket.close(step["close"])
                session = None
            elif "server" in step:
                if step["server"]["kind"] not in LATER_KINDS:
                    signaling.decode_server(json.dumps(step["server"]))
                await session.socket.send(json.dumps(step["server"]))
            else:
                said = await session.next_raw()
                assert _matches(step["client"], said), f"{where}: expected {step['client']}, got {said}"


async def _becomes(page: Page, expression: str, value: Any, where: str) -> None:
    """Wait until an expression has a value; the page's title carries it, which Playwright waits for."""
    await page.evaluate(
        """([expression]) => {
          clearInterval(window.titled);
          window.titled = setInterval(() => { document.title = JSON.stringify(eval(expression)); }, 20);
        }""",
        [expression],
    )
    shown = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    await expect(page, where).to_have_title(shown)


def _matches(expected: Any, said: Any) -> bool:
    if expected == "*":
        return bool(said)
    if isinstance(expected, dict) and isinstance(said, dict):
        return expected.keys() == said.keys() and all(_matches(expected[key], said[key]) for key in expected)
    return bool(expected == said)


async def test_the_client_knows_every_kind_that_a_server_sends(page: Page) -> None:
    kinds = {branch["properties"]["kind"]["enum"][0] for branch in _branches("server")}
    kinds -= {"watched", "sections-wanted"}  # for clients by another protocol
    sources = [
        await (await page.request.get(f"{page.url.rpartition('/')[0]}/sdk/{name}")).text()
        for name in ("room.js", "signaling.js")
    ]
    unknown = {kind for kind in kinds if not any(f"'{kind}'" in text or f"\n    {kind}:" in text for text in sources)}
    assert unknown == set()


def _branches(direction: str) -> list[dict[str, Any]]:
    schema = signaling.schema()
    return [schema["$defs"][branch["$ref"].rpartition("/")[2]] for branch in schema[direction]["anyOf"]]
