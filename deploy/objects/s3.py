"""Objects in S3, MinIO and compatible stores. Multipart uploads become visible when they are complete."""

import contextlib
import io
import secrets
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import urllib3
from minio import Minio
from minio.deleteobjects import DeleteObject
from minio.error import MinioException, S3Error
from minio.sse import Sse, SseKMS, SseS3

from foundation.failures import describe
from objects.s3_config import S3Config
from objects.store import NoAnswer, ObjectInfo, Room, checked_key, checked_prefix

_PART_BYTES = 8 * 1024 * 1024
_FETCH_BYTES = 1 << 20
_ABSENT = frozenset({"NoSuchKey", "NoSuchObject", "NoSuchBucket", "ResourceNotFound"})
_PROBE = "storage-probe"
_MEANINGS = {
    "SignatureDoesNotMatch": "the secret key is wrong",
    "InvalidAccessKeyId": "the access key is unknown",
    "AuthorizationHeaderMalformed": "the region is wrong",
    "AccessDenied": "the access key is not allowed to do that",
}


class S3Store:
    """The objects of a bucket whose keys begin with `prefix`, which ends with `/`. A missing bucket is created."""

    name = "s3"

    def __init__(self, config: S3Config, prefix: str, connections: int = 8) -> None:
        self._bucket = config.bucket
        self._prefix = checked_prefix(prefix)
        self._sse = _encryption(config)
        self._client = _client(config, config.endpoint, connections)
        self._public = None if config.public_endpoint is None else _client(config, config.public_endpoint, 1)
        self._bucket_known = False
        self._making_bucket = threading.Lock()
        self._probe = f"{_PROBE}-{secrets.token_hex(4)}"
        self._checking = threading.Lock()

    def put(self, key: str, data: bytes) -> None:
        self._ensure_bucket()
        with _translated(key):
            self._client.put_object(self._bucket, self._name(key), io.BytesIO(data), len(data), sse=self._sse)

    def put_file(self, key: str, path: Path, *, sha256: str = "", move: bool = False) -> None:
        self._ensure_bucket()
        metadata: dict[str, str | list[str] | tuple[str]] = {"sha256": sha256} if sha256 else {}
        with path.open("rb") as file, _translated(key):
            self._client.put_object(
                self._bucket,
                self._name(key),
                file,
                path.stat().st_size,
                metadata=metadata,
                part_size=_PART_BYTES,
                num_parallel_uploads=1,
                sse=self._sse,
            )
        if move:
            path.unlink(missing_ok=True)

    def info(self, key: str) -> ObjectInfo:
        with _translated(key):
            found = self._client.stat_object(self._bucket, self._name(key))
        modified = 0.0 if found.last_modified is None else found.last_modified.timestamp()
        return ObjectInfo(key, found.size or 0, found.etag or "", modified)

    def read(self, key: str, start: int, end: int, tag: str = "") -> bytes:
        if start == end:
            return b""
        headers: dict[str, str | list[str] | tuple[str]] = {"If-Match": f'"{tag}"'} if tag else {}
        with _translated(key):
            answer = self._client.get_object(
                self._bucket, self._name(key), offset=start, length=end - start, request_headers=headers
            )
            try:
                data: bytes = answer.read()
            finally:
                answer.close()
                answer.release_conn()
        if len(data) != end - start:
            raise OSError(f"{key} ends before {end}")
        return data

    def fetch(self, key: str, path: Path) -> None:
        partial = path.with_name(f"{path.name}.part")
        try:
            with partial.open("wb") as file, _translated(key):
                answer = self._client.get_object(self._bucket, self._name(key))
                try:
                    for data in answer.stream(_FETCH_BYTES):
                        file.write(data)
                finally:
                    answer.close()
                    answer.release_conn()
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        start = self._prefix + checked_prefix(prefix)
        with contextlib.suppress(FileNotFoundError), _translated(prefix):  # the first upload creates the bucket
            for found in self._client.list_objects(self._bucket, prefix=start, recursive=True):
                name = str(found.object_name)
                modified = 0.0 if found.last_modified is None else found.last_modified.timestamp()
                if not found.is_dir and not name.endswith("/"):
                    yield ObjectInfo(
                        name.removeprefix(self._prefix), found.size or 0, (found.etag or "").strip('"'), modified
                    )

    def directories(self) -> Iterator[str]:
        with contextlib.suppress(FileNotFoundError), _translated(self._prefix):
            for found in self._client.list_objects(self._bucket, prefix=self._prefix):
                name = str(found.object_name)
                if name.endswith("/") and name != self._prefix:
                    yield name.removeprefix(self._prefix).removesuffix("/")

    def remove(self, key: str) -> None:
        with _translated(key), contextlib.suppress(FileNotFoundError):
            self._client.remove_object(self._bucket, self._name(key))

    def remove_all(self, prefix: str) -> None:
        if not checked_prefix(prefix):
            raise ValueError("a prefix must not be empty")
        doomed = [DeleteObject(self._prefix + found.key) for found in self.list(prefix)]
        with _translated(prefix):
            for error in self._client.remove_objects(self._bucket, doomed):
                raise OSError(f"{error.name} was not deleted: {error.code}")

    def local_path(self, key: str) -> Path | None:
        return None

    def public_link(self, key: str, seconds: int, headers: Mapping[str, str]) -> str | None:
        if self._public is None:
            return None
        # Signed locally: the client sends no request, because it knows the region.
        return self._public.presigned_get_object(
            self._bucket, self._name(key), expires=timedelta(seconds=seconds), response_headers=dict(headers)
        )

    def room(self) -> Room | None:
        return None

    def abandon(self, age: float) -> int:
        """Abort old uploads: the client aborts its own, unless its process or the store fails during one."""
        count = 0
        mark: tuple[str | None, str | None] = None, None
        with contextlib.suppress(FileNotFoundError), _translated(self._prefix):
            while True:
                found = self._client._list_multipart_uploads(
                    self._bucket, prefix=self._prefix, key_marker=mark[0], upload_id_marker=mark[1]
                )
                for upload in found.uploads:
                    begun = upload.initiated_time
                    number = upload.upload_id
                    if begun is not None and number is not None and time.time() - begun.timestamp() > age:
                        self._client._abort_multipart_upload(self._bucket, upload.object_name, number)
                        count += 1
                if not found.is_truncated:
                    break
                mark = found.next_key_marker, found.next_upload_id_marker
        return count

    def check(self) -> None:
        with self._checking:  # nobody else removes the object in between, since each store's has a name of its own
            self.put(self._probe, b"probe")
            if self.read(self._probe, 0, 5) != b"probe":
                raise OSError("the store returned content that differs from what was stored")
            self.remove(self._probe)

    def _name(self, key: str) -> str:
        return self._prefix + checked_key(key)

    def _ensure_bucket(self) -> None:
        if self._bucket_known:
            return
        with self._making_bucket, _translated(self._bucket):
            if not self._bucket_known and not self._is_bucket_there():
                try:
                    self._client.make_bucket(self._bucket)
                except S3Error as error:
                    if error.code not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
                        raise
        self._bucket_known = True

    def _is_bucket_there(self) -> bool:
        """Send HEAD and, if that is refused, GET, whose response has a reason. A key may write but not list."""
        try:
            return self._client.bucket_exists(self._bucket)
        except S3Error:
            try:
                next(iter(self._client.list_objects(self._bucket, prefix=self._prefix)), None)
            except S3Error as error:
                if error.code in _ABSENT:
                    return False
                if error.code != "AccessDenied":
                    raise
            return True


def _encryption(config: S3Config) -> Sse | None:
    if config.encryption == "sse-s3":
        return SseS3()
    return SseKMS(config.kms_key or "", {}) if config.encryption == "sse-kms" else None


def _client(config: S3Config, endpoint: str, connections: int) -> Minio:
    pool = urllib3.PoolManager(
        maxsize=connections,
        ca_certs=None if config.ca_file is None else str(config.ca_file),
        timeout=urllib3.Timeout(connect=5, read=30),
        retries=urllib3.Retry(total=2, backoff_factor=0.2, status_forcelist=(500, 502, 503, 504)),
    )
    parts = urlsplit(endpoint)
    return Minio(
        parts.netloc,
        access_key=config.access_key,
        secret_key=config.secret_key,
        region=config.region,
        secure=parts.scheme == "https",
        http_client=pool,
    )


@contextlib.contextmanager
def _translated(key: str) -> Iterator[None]:
    """Convert errors of the client to OSError, and a missing object to FileNotFoundError."""
    key = _PROBE if key.startswith(_PROBE) else key  # the same failure of two stores reads the same
    try:
        yield
    except S3Error as error:
        if error.code in _ABSENT:
            raise FileNotFoundError(f"{key} is not in the store") from error
        meaning = f" ({_MEANINGS[error.code]})" if error.code in _MEANINGS else ""
        raise OSError(f"{key}: the store refuses: {error.code}{meaning}") from error
    except (MinioException, urllib3.exceptions.HTTPError) as error:
        raise NoAnswer(key, f"the store does not answer: {_cause(error)}") from error


def _cause(error: Exception) -> str:
    """Return the innermost reason for a connection failure, which the libraries wrap several times."""
    reason: BaseException = getattr(error, "reason", None) or error
    inner = reason
    while (further := next((one for one in inner.args if isinstance(one, BaseException)), inner.__cause__)) is not None:
        inner = further
    if isinstance(inner, ssl.SSLCertVerificationError):
        return f"its certificate is refused: {inner.verify_message}"
    if isinstance(inner, ssl.SSLError):
        return "it does not use TLS on this port"
    if isinstance(inner, OSError) and inner.strerror:
        return inner.strerror.lower()
    if isinstance(reason, urllib3.exceptions.TimeoutError):
        return "no answer in time"
    return describe(inner)[:200]
