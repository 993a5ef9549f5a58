"""An etcd shared with others: over TLS, with an account that can only access Parley's keys."""

import asyncio
import gc
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from foundation.etcd import Etcd, EtcdConfig, EtcdRefused, EtcdUnavailable
from foundation.hot_settings import LIVE_SETTINGS_PREFIX, etcd_config, overridden
from foundation.settings import Settings, resolve
from sfu.api.registration import NODES_PREFIX
from tests.control.registry.world import FakeNode, etcd_world
from tests.foundation.test_hot_settings import Applied, following
from tests.support.etcd import SecuredEtcd, secured_etcd

TOKEN_SECONDS = 1


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredEtcd]:
    with secured_etcd(tmp_path_factory.mktemp("etcd"), "--auth-token-ttl", str(TOKEN_SECONDS)) as running:
        yield running


@pytest.fixture
def settings(secured: SecuredEtcd, tmp_path: Path) -> Settings:
    """As a container gets them: addresses from the environment, the password from a file that it names."""
    (tmp_path / "password").write_text(secured.password)
    environment = {
        "HOME": "/nowhere",
        "PARLEY_ETCD_URLS": secured.url,
        "PARLEY_ETCD_USERNAME": secured.user,
        "PARLEY_ETCD_PASSWORD_FILE": str(tmp_path / "password"),
        "PARLEY_ETCD_CA": str(secured.ca),
    }
    return resolve({}, environment)


@pytest.fixture
def config(settings: Settings) -> EtcdConfig:
    found = etcd_config(settings)
    assert found is not None
    return found


async def test_nodes_register_and_are_missed(config: EtcdConfig) -> None:
    node = FakeNode("a")
    await node.start()
    async with etcd_world(config) as world:
        await world.join(node)
        node.change(draining=True)
        await world.until(lambda: world.registry.living()["a"].draining)
        await world.cut(node)
        await node.kill()
        await world.until(lambda: not world.registry.lives("a"))


async def test_settings_change_while_a_part_runs(settings: Settings, config: EtcdConfig) -> None:
    etcd = Etcd(config)
    applied = Applied(settings)
    async with following(applied):
        await etcd.put(f"{LIVE_SETTINGS_PREFIX}max_participants", b"7")
        await applied.until("max_participants", 7)
        async with asyncio.timeout(30):
            while (await asyncio.to_thread(overridden, settings))["max_participants"] != 7:
                await asyncio.sleep(0.1)
    await etcd.close()


async def test_a_wrong_password_is_a_refusal(config: EtcdConfig) -> None:
    etcd = Etcd(replace(config, password="wrong"))
    with pytest.raises(EtcdRefused, match="authentication failed"):
        await etcd.under(NODES_PREFIX)
    await etcd.close()


async def test_a_token_that_has_expired_is_replaced(config: EtcdConfig) -> None:
    etcd = Etcd(config)
    await etcd.put(f"{NODES_PREFIX}x", b"1")
    await asyncio.sleep(3 * TOKEN_SECONDS)
    assert (await etcd.under(NODES_PREFIX)).values == {f"{NODES_PREFIX}x": b"1"}
    await etcd.delete(f"{NODES_PREFIX}x")
    await etcd.close()


def test_closing_ends_what_a_frozen_member_keeps_open(secured: SecuredEtcd, config: EtcdConfig) -> None:
    """A socket that outlives its loop is reported when it is collected, and fails this test."""

    async def asking() -> None:
        etcd = Etcd(config)
        watch = etcd.watch(NODES_PREFIX, (await etcd.under(NODES_PREFIX)).revision)
        secured.process.send_signal(signal.SIGSTOP)
        try:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await anext(watch)
            await etcd.close()
        finally:
            secured.process.send_signal(signal.SIGCONT)

    asyncio.run(asking())
    gc.collect()


async def test_accounts_may_change_while_signed_tokens_are_in_use(config: EtcdConfig, tmp_path: Path) -> None:
    """Such a token is worth nothing any more once an account was added; one that etcd keeps itself is."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    (tmp_path / "private").write_bytes(private)
    (tmp_path / "public").write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    signed = f"jwt,priv-key={tmp_path}/private,pub-key={tmp_path}/public,sign-method=RS256,ttl=1h"
    with secured_etcd(tmp_path, "--auth-token", signed) as other:
        etcd = Etcd(replace(config, urls=(other.url,), password=other.password, ca_file=other.ca))
        await etcd.put(f"{NODES_PREFIX}x", b"1")
        await asyncio.to_thread(other.add_account, "another")
        await etcd.put(f"{NODES_PREFIX}x", b"2")
        await etcd.close()


async def refused(config: EtcdConfig, key: str = f"{NODES_PREFIX}x") -> str:
    """Return the refusal of a client that may not set `key`."""
    etcd = Etcd(config)
    try:
        with pytest.raises(EtcdUnavailable) as refusal:
            await etcd.put(key, b"1")
    finally:
        await etcd.close()
    return str(refusal.value)


async def test_who_may_not_is_refused(config: EtcdConfig) -> None:
    assert "permission denied" in await refused(config, "/elsewhere/x")
    assert "authentication failed" in await refused(replace(config, password="guessed"))
    assert "user name is empty" in await refused(replace(config, username=""))
    assert "CERTIFICATE_VERIFY_FAILED" in await refused(replace(config, ca_file=None))


def test_the_password_is_shown_nowhere(settings: Settings, config: EtcdConfig, secured: SecuredEtcd) -> None:
    assert config.password == secured.password
    assert secured.password not in repr(config)
    assert all(secured.password not in str(row) for row in settings.rows())
