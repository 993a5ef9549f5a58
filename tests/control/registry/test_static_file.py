"""Nodes from a TOML file: reread when it changes, kept when it cannot be read."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from control.registry.probe import Probe
from control.registry.static import StaticRegistry
from tests.control.registry.world import FakeNode
from tests.support.waiting import eventually


@pytest_asyncio.fixture
async def node() -> AsyncIterator[FakeNode]:
    made = FakeNode("a")
    await made.start()
    yield made
    await made.kill()


def table(name: str, node: FakeNode, region: str) -> str:
    record = node.record
    return f'[{name}]\nhttp_url = "{record.http_url}"\nsignaling_url = "{record.signaling_url}"\nregion = "{region}"\n'


async def until_known(registry: StaticRegistry, names: list[str]) -> None:
    await eventually(lambda: sorted(registry.living()) == names)


async def test_the_file_is_followed(tmp_path: Path, node: FakeNode, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "nodes.toml"
    file.write_text(table("a", node, "eu"))
    async with aiohttp.ClientSession() as http:
        registry = StaticRegistry(Probe(http, "s"), (), file)
        assert registry.known()["a"].region == "eu"
        running = asyncio.create_task(registry.run())
        try:
            await until_known(registry, ["a"])
            file.write_text(table("a", node, "eu") + table("b", node, "us"))
            await until_known(registry, ["a", "b"])
            assert registry.living()["b"].region == "us"
            file.write_text("[a\n")
            await eventually(lambda: "keeping the current one" in caplog.text)
            assert sorted(registry.living()) == ["a", "b"]
            file.write_text(table("b", node, "us"))
            await until_known(registry, ["b"])
            assert "a" not in registry.known()
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await registry.close()


@pytest.mark.parametrize("text", ["[a\n", '[a]\nhttp_url = "x"\n', "a = 1\n"])
async def test_a_file_that_is_wrong_from_the_beginning_stops_the_start(tmp_path: Path, text: str) -> None:
    file = tmp_path / "nodes.toml"
    file.write_text(text)
    async with aiohttp.ClientSession() as http:
        with pytest.raises(ValueError):
            StaticRegistry(Probe(http, "s"), (), file)
