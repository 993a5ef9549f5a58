"""Registries of nodes: the same tests for a list and for etcd."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Iterator
from functools import partial

import pytest
import pytest_asyncio

from control.readiness import Check, Readiness, Standing
from foundation.etcd import EtcdConfig
from tests.control.registry.world import FakeNode, World, etcd_world, static_world
from tests.support.etcd import RunningEtcd, running_etcd
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def etcd() -> Iterator[RunningEtcd]:
    with running_etcd() as running:
        yield running


@pytest_asyncio.fixture
async def nodes() -> AsyncIterator[tuple[FakeNode, FakeNode]]:
    made = (FakeNode("a", region="eu-west-1"), FakeNode("b", region="us-east-1"))
    for node in made:
        await node.start()
    yield made
    for node in made:
        await node.kill()


@pytest_asyncio.fixture(params=["static", "etcd"])
async def world(
    request: pytest.FixtureRequest, nodes: tuple[FakeNode, FakeNode], etcd: RunningEtcd
) -> AsyncIterator[World]:
    """A registry that knows both nodes."""
    async with contextlib.AsyncExitStack() as stack:
        if request.param == "static":
            found = await stack.enter_async_context(static_world(list(nodes)))
        else:
            found = await stack.enter_async_context(etcd_world(EtcdConfig(urls=(etcd.url,))))
        for node in nodes:
            await found.join(node)
        yield found


async def test_nodes_are_known_with_what_they_say_of_themselves(world: World) -> None:
    assert list(world.registry.living()) == ["a", "b"]
    assert world.registry.living()["a"].region == "eu-west-1"
    assert world.registry.living()["b"].boot == "b-boot-1"


async def test_rooms_go_to_the_near_node_and_of_equals_to_the_idle_one(
    world: World, nodes: tuple[FakeNode, FakeNode]
) -> None:
    registry = world.registry
    assert registry.choose("us-east-1") == "b"
    assert registry.choose("eu-west-2") == "a"
    nodes[0].load(0.5, 40)
    await world.until(lambda: registry.living()["a"].load.participants == 40)
    assert registry.choose("") == "b"
    assert registry.choose("", but="b") == "a"
    nodes[0].load(0.95, 400)
    await world.until(lambda: registry.living()["a"].load.cpu > 0.9)
    assert registry.choose("eu-west-1") == "b"


async def test_a_draining_node_lives_and_gets_no_rooms(world: World, nodes: tuple[FakeNode, FakeNode]) -> None:
    nodes[0].change(draining=True)
    await world.until(lambda: world.registry.living()["a"].draining)
    assert world.registry.choose("eu-west-1") == "b"
    nodes[1].change(draining=True)
    await world.until(lambda: world.registry.living()["b"].draining)
    assert world.registry.choose("") is None


async def test_an_overloaded_node_keeps_its_rooms_and_gets_no_others(
    world: World, nodes: tuple[FakeNode, FakeNode]
) -> None:
    nodes[0].change(overloaded=True)
    await world.until(lambda: world.registry.living()["a"].overloaded)
    assert world.registry.choose("eu-west-1") == "b"
    assert "a" in world.registry.held()
    assert world.registry.choose("eu-west-1", but="b") == "a"  # better than none, if the other node stops
    nodes[0].change(overloaded=False)
    await world.until(lambda: not world.registry.living()["a"].overloaded)
    assert world.registry.choose("eu-west-1") == "a"


async def test_a_killed_node_is_found_out_by_asking_it(world: World, nodes: tuple[FakeNode, FakeNode]) -> None:
    gone = asyncio.create_task(world.registry.gone("a"))
    await nodes[0].kill()
    await world.refuted("a")
    await asyncio.wait_for(gone, 30)
    assert list(world.registry.living()) == ["b"]
    assert world.registry.known()["a"].http_url


async def test_a_node_that_falls_silent_is_lost_after_its_lease(world: World, nodes: tuple[FakeNode, FakeNode]) -> None:
    nodes[0].silent = True
    await world.cut(nodes[0])
    assert await world.registry.verify("a")
    await world.until(lambda: not world.registry.lives("a"))
    assert world.registry.lives("b")


async def test_sessions_of_a_silent_node_wait_while_no_other_takes_rooms(
    world: World, nodes: tuple[FakeNode, FakeNode]
) -> None:
    nodes[1].change(draining=True)
    await world.until(lambda: world.registry.living()["b"].draining)
    gone = asyncio.create_task(world.registry.gone("a"))
    nodes[0].silent = True
    await world.cut(nodes[0])
    await world.until(lambda: not world.registry.lives("a"))
    assert world.registry.choose("") is None
    await asyncio.sleep(0.1)
    assert not gone.done()
    nodes[0].silent = False
    await world.join(nodes[0])
    await world.until(lambda: world.registry.lives("a"))
    nodes[0].silent = True
    await world.cut(nodes[0])
    await world.until(lambda: not world.registry.lives("a"))
    assert not gone.done()
    nodes[1].change(draining=False)
    await asyncio.wait_for(gone, 30)


async def test_sessions_of_a_silent_node_end_once_it_refuses(world: World, nodes: tuple[FakeNode, FakeNode]) -> None:
    nodes[1].change(draining=True)
    await world.until(lambda: world.registry.living()["b"].draining)
    gone = asyncio.create_task(world.registry.gone("a"))
    nodes[0].silent = True
    await world.cut(nodes[0])
    await world.until(lambda: not world.registry.lives("a"))
    assert not gone.done()
    await nodes[0].kill()
    await asyncio.wait_for(gone, 30)


async def test_a_node_that_starts_anew_is_another_process(world: World, nodes: tuple[FakeNode, FakeNode]) -> None:
    gone = asyncio.create_task(world.registry.gone("a"))
    await world.cut(nodes[0])
    nodes[0].change(boot="a-boot-2")
    await world.join(nodes[0])
    await asyncio.wait_for(gone, 30)
    assert world.registry.lives("a")


async def test_who_came_to_the_new_process_does_not_lose_the_old_one(
    world: World, nodes: tuple[FakeNode, FakeNode]
) -> None:
    before = asyncio.create_task(world.registry.gone("a", "a-boot-1"))
    await world.cut(nodes[0])
    world.registry.proved("a", "a-boot-2")
    since = asyncio.create_task(world.registry.gone("a", "a-boot-2"))
    await asyncio.wait_for(before, 30)
    nodes[0].change(boot="a-boot-2", draining=True)
    await world.join(nodes[0])
    await world.until(lambda: world.registry.known()["a"].draining)
    assert not since.done()
    nodes[0].change(boot="a-boot-3")
    await asyncio.wait_for(since, 15)


async def test_a_lost_node_comes_back(world: World, nodes: tuple[FakeNode, FakeNode]) -> None:
    await world.cut(nodes[0])
    await nodes[0].kill()
    await world.until(lambda: not world.registry.lives("a"))
    await nodes[0].start()
    await world.join(nodes[0])
    await world.until(lambda: world.registry.lives("a"))


async def test_a_lapsed_lease_alone_loses_no_node(etcd: RunningEtcd) -> None:
    node = FakeNode("c")
    await node.start()
    async with etcd_world(EtcdConfig(urls=(etcd.url,))) as world:
        await world.join(node)
        await world.cut(node)
        await asyncio.sleep(4)  # twice the lease
        assert world.registry.lives("c")
        await node.kill()
        await world.until(lambda: not world.registry.lives("c"))


async def test_a_frozen_etcd_is_told_at_once() -> None:
    """Its watch only falls silent, as it does while nothing changes."""
    with running_etcd() as short:
        async with etcd_world(EtcdConfig(urls=(short.url,))) as world:
            assert await world.registry.trouble() is None
            short.process.send_signal(signal.SIGSTOP)
            readiness = Readiness(Check("etcd", world.registry.trouble))
            try:
                assert await readiness.look() == Standing("degraded", {"etcd": "does not answer in time"})
            finally:
                short.process.send_signal(signal.SIGCONT)
                await readiness.close()
            await eventually(partial(is_well, world))


async def is_well(world: World) -> bool:
    return await world.registry.trouble() is None


async def test_nodes_stay_known_while_etcd_is_away() -> None:
    node = FakeNode("c")
    await node.start()
    with running_etcd() as short:
        async with etcd_world(EtcdConfig(urls=(short.url,))) as world:
            await world.join(node)
            short.process.kill()
            short.process.wait()
            await asyncio.sleep(1.2)  # longer than a proof is trusted
            assert await world.registry.verify("c")
            await node.kill()
            await world.refuted("c")


async def test_a_node_that_took_a_connection_lives_whatever_was_heard_before(
    world: World, nodes: tuple[FakeNode, FakeNode]
) -> None:
    await nodes[0].kill()
    await world.refuted("a")
    await nodes[0].start()
    world.registry.proved("a")
    assert world.registry.lives("a")
    lost = asyncio.create_task(world.registry.gone("a"))
    await asyncio.sleep(0)
    assert not lost.done()
    lost.cancel()
    await asyncio.gather(lost, return_exceptions=True)
