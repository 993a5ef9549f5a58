"""Objects are put into buckets of others: on the emulators of Azure and Google, and without a word about secrets."""

import base64
import contextlib
import json
import secrets
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import ClientSession, ClientTimeout
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from foundation import public_http
from objects.bucket_upload import UploadFailed, repeatedly, upload
from objects.buckets import MOST_BYTES, AzureContainer, Bucket, GoogleBucket, S3Bucket, signed_put
from tests.support.ports import free_ports
from tests.support.real_programs import found
from tests.support.waiting import until_up

CONTENT = b"a film"
KEY = "films of May/day 1.mp4"
AZURE_KEY = base64.b64encode(secrets.token_bytes(64)).decode()


@pytest.fixture(scope="module")
def account() -> str:
    """The key of a service account, as Google writes it."""
    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return json.dumps(
        {
            "type": "service_account",
            "client_email": "egress@films.iam.gserviceaccount.com",
            "private_key": key.decode(),
            "token_uri": "https://oauth2.googleapis.com/token",
        }
    )


def test_requests_are_signed_for_each_store(account: str) -> None:
    google = signed_put(GoogleBucket(bucket="films", credentials=account), KEY)
    assert google.location == "https://storage.googleapis.com/films/films%20of%20May/day%201.mp4"
    assert parse_qs(urlsplit(google.url).query)["X-Goog-Expires"] == ["21600"]
    azure = signed_put(AzureContainer(account="house", key=AZURE_KEY, container="films"), KEY)
    assert azure.location == "https://house.blob.core.windows.net/films/films%20of%20May/day%201.mp4"
    assert parse_qs(urlsplit(azure.url).query)["sp"] == ["cw"]
    alibaba = S3Bucket(bucket="films", access_key="a", secret="b", endpoint="oss-cn-hangzhou.aliyuncs.com")
    assert signed_put(alibaba, "day.mp4").location == "https://films.oss-cn-hangzhou.aliyuncs.com/day.mp4"


@pytest.mark.parametrize(
    "bucket",
    [
        S3Bucket(bucket="B?", access_key="a", secret="top secret"),
        GoogleBucket(bucket="films", credentials='{"private_key": "top secret"}'),
        GoogleBucket(bucket="films", credentials="top secret"),
        GoogleBucket(bucket="films/..", credentials="top secret"),
        AzureContainer(account="house", key="top secret", container="films"),
        AzureContainer(account="evil.example.org/", key=AZURE_KEY, container="films"),
        AzureContainer(account="house", key=AZURE_KEY, container="films?x"),
    ],
)
async def test_invalid_names_and_credentials_are_told_without_the_secret(bucket: Bucket) -> None:
    with pytest.raises(ValueError) as caught:
        signed_put(bucket, "day.mp4")
    async with public_http.session(True, ClientTimeout(total=10)) as session:
        with pytest.raises(UploadFailed) as failed:
            await upload(session, bucket, "day.mp4", CONTENT, size=len(CONTENT))
    assert not failed.value.again
    assert "secret" not in f"{caught.value} {failed.value} {bucket!r}"


@pytest.mark.parametrize(
    ("endpoint", "size"),
    [("https://localhost:9", 6), ("https://127.0.0.1:9", 6), ("https://s3.example.org", MOST_BYTES + 1)],
)
async def test_private_stores_and_files_that_are_too_large_are_refused(endpoint: str, size: int) -> None:
    bucket = S3Bucket(bucket="films", access_key="a", secret="top secret", endpoint=endpoint)
    async with public_http.session(False, ClientTimeout(total=10)) as session:
        with pytest.raises(UploadFailed) as caught:
            await upload(session, bucket, "day.mp4", CONTENT, size=size)
    assert not caught.value.again
    assert "secret" not in str(caught.value) + repr(bucket)


async def test_a_store_that_does_not_answer_is_asked_again() -> None:
    bucket = S3Bucket(bucket="films", access_key="a", secret="b", endpoint="http://127.0.0.1:9")
    tries = 0
    async with public_http.session(True, ClientTimeout(total=10)) as session:

        async def attempt() -> str:
            nonlocal tries
            tries += 1
            return await upload(session, bucket, "day.mp4", CONTENT, size=len(CONTENT))

        with pytest.raises(UploadFailed):
            await repeatedly(attempt, (0.0, 0.0))
    assert tries == 3


@contextlib.contextmanager
def running(directory: Path, port: int, *command: str, **environment: str) -> Iterator[str]:
    """Run an emulator that listens at a port, and return its URL."""
    log = directory / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=out, cwd=directory, env={"PATH": "/usr/local/bin:/usr/bin:/bin", **environment}
        )

    def answers() -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        return False

    try:
        until_up(process, answers, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


async def test_azure_takes_an_object_and_refuses_another_key(tmp_path: Path) -> None:
    from azure.storage.blob import BlobServiceClient

    program = found("azurite/node_modules/.bin/azurite-blob")
    if program is None:
        pytest.skip("`make real` gets Azurite")
    (port,) = free_ports(1)
    options = ("--blobPort", str(port), "--location", str(tmp_path), "--skipApiVersionCheck", "--disableTelemetry")
    command = (str(program), *options)
    with running(tmp_path, port, *command, AZURITE_ACCOUNTS=f"house:{AZURE_KEY}") as url:
        here = f"{url}/house"
        with BlobServiceClient(here, credential={"account_name": "house", "account_key": AZURE_KEY}) as client:
            client.create_container("films")
            bucket = AzureContainer(account="house", key=AZURE_KEY, container="films", endpoint=here)
            other = AzureContainer(account="house", key="AAAA", container="films", endpoint=here)
            async with public_http.session(True, ClientTimeout(total=30)) as session:
                location = await upload(session, bucket, KEY, CONTENT, size=len(CONTENT), media_type="video/mp4")
                with pytest.raises(UploadFailed, match="the store answered 403 Auth"):
                    await upload(session, other, KEY, CONTENT, size=len(CONTENT))
            blob = client.get_blob_client("films", KEY)
            assert (blob.download_blob().readall(), blob.url) == (CONTENT, location)
            assert blob.get_blob_properties().content_settings.content_type == "video/mp4"


async def test_google_takes_an_object(tmp_path: Path, account: str) -> None:
    program = found("fake-gcs-server")
    if program is None:
        pytest.skip("`make real` gets fake-gcs-server")
    (port,) = free_ports(1)
    command = (str(program), "-backend", "memory", "-scheme", "http", "-host", "127.0.0.1", "-port", str(port))
    address = f"http://127.0.0.1:{port}"
    with running(tmp_path, port, *command, "-external-url", address, "-public-host", f"127.0.0.1:{port}") as url:
        async with ClientSession() as session:
            async with session.post(f"{url}/storage/v1/b?project=films", json={"name": "films"}) as answer:
                assert answer.status == 200
            bucket = GoogleBucket(bucket="films", credentials=account, endpoint=url)
            location = await upload(session, bucket, KEY, CONTENT, size=len(CONTENT))
            async with session.get(location) as answer:
                assert await answer.read() == CONTENT
