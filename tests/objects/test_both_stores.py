"""Object stores: the same tests for a directory and for a real S3 server."""

import hashlib
import os
import secrets
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from objects.directory import DirectoryStore
from objects.recording_keys import OperatorKeys, RecordingKey, new_key
from objects.s3 import S3Store
from objects.s3_config import S3Config
from objects.sealed_format import stored_size
from objects.sealed_store import SealedStore
from objects.store import ObjectStore, checked_key
from objects.threads import Objects, threads
from tests.support.object_stores import S3Server

KEY = new_key()
LARGE = bytes(range(256)) * (9 * 4096)  # more than one part of a multipart upload


class Encrypted(SealedStore):
    """A store whose objects are all encrypted."""

    def __init__(self, store: ObjectStore) -> None:
        super().__init__(store, OperatorKeys())
        self.name = "encrypted"

    def _first_key(self, key: str) -> RecordingKey:
        return KEY

    def _key_of(self, key: str, key_id: bytes) -> bytes:
        return KEY.key


@pytest.fixture(params=["directory", "s3", "encrypted"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "directory":
        return DirectoryStore(tmp_path / "store")
    if request.param == "encrypted":
        return Encrypted(DirectoryStore(tmp_path / "store"))
    server: S3Server = request.getfixturevalue("s3")
    return S3Store(server.config, f"{secrets.token_hex(6)}/")


@pytest.fixture
def objects(store: ObjectStore, tmp_path: Path) -> Iterator[Objects]:
    with threads() as pool:
        yield Objects(store, tmp_path / "spool", pool)


def test_what_was_put_is_read_back(store: ObjectStore) -> None:
    store.put("a/one.txt", b"0123456789")
    found = store.info("a/one.txt")
    assert (found.key, found.size) == ("a/one.txt", 10)
    assert store.read("a/one.txt", 2, 5, found.tag) == b"234"
    assert store.read("a/one.txt", 3, 3) == b""
    with pytest.raises(OSError):
        store.read("a/one.txt", 5, 20)
    store.put("a/one.txt", b"another")
    assert store.info("a/one.txt").tag != found.tag
    with pytest.raises(OSError):
        store.read("a/one.txt", 2, 5, found.tag)


@pytest.mark.parametrize("move", [False, True])
def test_files_go_in_and_come_out(store: ObjectStore, tmp_path: Path, move: bool) -> None:
    source, copy = tmp_path / "source", tmp_path / "copy"
    source.write_bytes(LARGE)
    store.put_file("b/large.bin", source, sha256=hashlib.sha256(LARGE).hexdigest(), move=move)
    assert source.exists() is not move
    assert store.info("b/large.bin").size == len(LARGE)
    store.fetch("b/large.bin", copy)
    assert copy.read_bytes() == LARGE
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.skipif(
    os.environ.get("PARLEY_TEST_S3") == "versitygw", reason="versitygw takes the request and does not encrypt"
)
def test_the_store_is_asked_to_encrypt(s3: S3Server, tmp_path: Path) -> None:
    store = S3Store(replace(s3.config, encryption="sse-s3"), f"{secrets.token_hex(6)}/")
    (tmp_path / "large").write_bytes(LARGE)
    store.put_file("large", tmp_path / "large")
    store.put("small", b"x")
    for key, content in (("large", LARGE), ("small", b"x")):
        found = store._client.stat_object(s3.config.bucket, store._name(key))
        assert found.metadata is not None and found.metadata["x-amz-server-side-encryption"] == "AES256"
        assert store.read(key, 0, len(content)) == content
    with pytest.raises(ValueError, match="belong together"):
        replace(s3.config, encryption="sse-kms")
    with pytest.raises(ValueError, match="https"):
        replace(s3.config, encryption="sse-kms", kms_key="key-1")


def test_what_is_not_there_is_not_found(store: ObjectStore, tmp_path: Path) -> None:
    store.put("there", b"x")
    for call in (store.info, lambda key: store.read(key, 0, 1), lambda key: store.fetch(key, tmp_path / "x")):
        with pytest.raises(FileNotFoundError):
            call("c/absent")
    assert not (tmp_path / "x").exists()
    store.remove("c/absent")
    store.remove_all("c/")
    assert list(store.list("c/")) == []


def test_keys_are_listed_and_removed_by_prefix(store: ObjectStore) -> None:
    assert list(store.list()) == list(store.directories()) == []
    for key in ("r1/manifest.json", "r1/t1/1-1.webm", "r1/t1/1-1.jnl", "r10/manifest.json", "top"):
        store.put(key, key.encode())
    assert sorted(found.key for found in store.list("r1/")) == ["r1/manifest.json", "r1/t1/1-1.jnl", "r1/t1/1-1.webm"]
    sizes = [13, 14] if store.name != "encrypted" else [stored_size(13), stored_size(14)]
    assert sorted(found.size for found in store.list("r1/t1/")) == sizes
    assert sorted(store.directories()) == ["r1", "r10"]
    store.remove("top")
    store.remove_all("r1/")
    assert [found.key for found in store.list()] == ["r10/manifest.json"]
    with pytest.raises(ValueError):
        store.remove_all("")


@pytest.mark.parametrize("key", ["", "/a", "a/", "../a", "a/../b", "a//b", ".hidden", "a/.b", "a\\b", "a\0", "a" * 800])
def test_keys_lead_nowhere_else(store: ObjectStore, key: str, tmp_path: Path) -> None:
    for call in (lambda: store.put(key, b""), lambda: store.info(key), lambda: store.remove(key)):
        with pytest.raises(ValueError):
            call()
    with pytest.raises(ValueError):
        list(store.list(f"{key}/"))
    assert list(tmp_path.rglob("*")) == []


def test_a_healthy_store_says_so_and_keeps_nothing(store: ObjectStore) -> None:
    store.check()
    assert list(store.list()) == []


def test_a_failed_upload_leaves_nothing(store: ObjectStore, tmp_path: Path) -> None:
    store.put("kept", b"x")
    with pytest.raises(OSError):
        store.put_file("half", tmp_path / "absent")
    assert [found.key for found in store.list()] == ["kept"]


async def test_pieces_and_local_copies(objects: Objects, tmp_path: Path) -> None:
    await objects.put("d/large.bin", LARGE)
    pieces = [piece async for piece in objects.pieces("d/large.bin", 100, len(LARGE) - 100)]
    assert b"".join(pieces) == LARGE[100:-100]
    assert max(map(len, pieces)) <= 1 << 20
    assert await objects.get("d/large.bin") == LARGE
    async with objects.local("d/large.bin") as path:
        assert path.read_bytes() == LARGE
    assert list((tmp_path / "spool").rglob("*")) == []
    with pytest.raises(FileNotFoundError):
        async with objects.local("d/absent"):
            pass


async def test_a_store_that_is_replaced_meanwhile_ends_the_download(objects: Objects) -> None:
    await objects.put("e", LARGE)
    tag = (await objects.info("e")).tag
    pieces = objects.pieces("e", 0, len(LARGE), tag)
    assert await anext(pieces)
    await objects.put("e", LARGE + b"more")
    with pytest.raises(OSError):
        async for _ in pieces:
            pass


def test_a_store_that_is_away_is_an_error_that_says_so() -> None:
    config = S3Config(endpoint="http://127.0.0.1:9", bucket="bucket", access_key="a", secret_key="s" * 8)
    with pytest.raises(OSError, match="does not answer: connection refused"):
        S3Store(config, "x/").check()
    assert "s" * 8 not in repr(config)


def test_a_wrong_key_is_refused(s3: S3Server) -> None:
    config = S3Config(
        endpoint=s3.config.endpoint, bucket=s3.config.bucket, access_key=s3.config.access_key, secret_key="wrong-key"
    )
    with pytest.raises(OSError, match=r"refuses: SignatureDoesNotMatch \(the secret key is wrong\)"):
        S3Store(config, "x/").put("a", b"")


def test_checks_by_several_processes_do_not_disturb_each_other(s3: S3Server) -> None:
    prefix = f"{secrets.token_hex(6)}/"
    stores = [S3Store(s3.config, prefix) for _ in range(4)]
    with ThreadPoolExecutor(8) as pool:
        for checked in [pool.submit(store.check) for store in stores * 25]:
            checked.result()
    assert list(stores[0].list()) == []
    with pytest.raises(FileNotFoundError, match=r"^storage-probe is not in the store"):  # the same of each store
        stores[0].read(stores[0]._probe, 0, 5)


def test_uploads_that_nobody_ends_are_given_up(s3: S3Server) -> None:
    store = S3Store(s3.config, f"{secrets.token_hex(6)}/")
    store.put("here", b"")  # makes the bucket
    store._client._create_multipart_upload(s3.config.bucket, f"{store._prefix}cut-off", {})
    assert store.abandon(86400) == 0
    time.sleep(1.1)
    assert (store.abandon(1), store.abandon(1)) == (1, 0)


@pytest.mark.parametrize("endpoint", ["", "127.0.0.1:9000", "ftp://x", "http://x/path", "http://"])
def test_endpoints_are_checked(endpoint: str) -> None:
    with pytest.raises(ValueError):
        S3Config(endpoint=endpoint, bucket="bucket", access_key="a", secret_key="s")


@pytest.mark.parametrize("bucket", ["", "a", "UPPER", "a/b", "-ab", "a" * 64])
def test_names_of_buckets_are_checked(bucket: str) -> None:
    with pytest.raises(ValueError):
        S3Config(endpoint="http://x", bucket=bucket, access_key="a", secret_key="s")


@given(st.text(max_size=40))
def test_a_key_is_refused_or_stays_below_its_root(text: str) -> None:
    try:
        checked_key(text)
    except ValueError:
        return
    assert (Path("/root") / text).resolve().is_relative_to("/root")
