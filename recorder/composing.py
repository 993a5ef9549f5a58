"""Composes films of finished recordings: claims jobs from control, has each done by a process, stores the result.

The process gets no secrets and yields to everything else. A film is stored under a name of its own, and counts only
once control has accepted that attempt: work after an expired lease is never shown.

Finished parts of a film stay in `.composing/{recorder}/{recording}/{hash of its sources}` until the film is there or
has failed: the next attempt continues from them. A job is released when the recorder stops, and after a while, so that
others get a turn.
"""

import asyncio
import contextlib
import hashlib
import logging
import os
import shutil
import sys
import time
from pathlib import Path

import aiohttp
import msgspec

from foundation.jobs import LEASE_SECONDS, ClaimedJob, JobHeld, JobOutcome, JobProgress, JobRequest
from objects.threads import Objects
from recorder import layout, leases
from recorder.compose.contract import GAVE_WAY, VERSION
from recorder.config import RecorderConfig
from recorder.manifest import Manifest, decode_manifest

_log = logging.getLogger(__name__)

KIND = "compose"
_PREFIX = "composed-"
_TURN_SECONDS = 600.0
_KEPT_SECONDS = 86_400.0
"""The age at which unfinished work is deleted."""
_RELEASE_SECONDS = 1.5
"""The longest that a stopping recorder waits for control; the lease lapses by itself."""
_POLL_SECONDS = 2.0
_MAX_POLL_SECONDS = 30.0
_TIMEOUT = aiohttp.ClientTimeout(total=10)
_PACKAGES = Path(__file__).parent.parent


class _Failed(Exception):
    """The film failed; `again` tells whether another attempt may succeed."""

    def __init__(self, detail: str, *, again: bool) -> None:
        super().__init__(detail)
        self.again = again


class _GaveWay(Exception):
    """The film is not done yet, and others may go first."""


class _Lost(Exception):
    """Another worker has the job by now."""


class Composer:
    """One film at a time. `objects` is the store of recordings, None for this disk."""

    def __init__(self, config: RecorderConfig, objects: Objects | None, local: Objects) -> None:
        self._config = config
        self._objects = objects or local
        self._node = config.instance if objects is None else None
        self._all_work = config.recordings_dir / ".composing"
        self._work = self._all_work / leases.file_name(config.instance)
        self._share = 0.0

    async def run(self) -> None:
        """Work until cancelled."""
        if not self._config.control_url:
            return
        await asyncio.to_thread(_forget_old, self._all_work, time.time() - _KEPT_SECONDS)
        headers = {"Authorization": f"Bearer {self._config.node_secret}", "Content-Type": "application/json"}
        delay = _POLL_SECONDS
        async with aiohttp.ClientSession(headers=headers, timeout=_TIMEOUT) as session:
            while True:
                try:
                    job = await self._claim(session)
                    if job is not None:
                        await self._do(session, job)
                    delay = _POLL_SECONDS
                except (aiohttp.ClientError, TimeoutError, OSError, msgspec.DecodeError) as error:
                    _log.debug("no job: %s", error)
                    delay = min(2 * delay, _MAX_POLL_SECONDS)
                    job = None
                if job is None:
                    await asyncio.sleep(delay)

    async def _claim(self, session: aiohttp.ClientSession) -> ClaimedJob | None:
        asked = msgspec.json.encode(JobRequest(kinds=[KIND], node=self._node))
        async with session.post(self._url("claim"), data=asked) as answer:
            answer.raise_for_status()
            data = await answer.read()
        return msgspec.json.decode(data, type=ClaimedJob) if answer.status == 200 else None

    async def _do(self, session: aiohttp.ClientSession, job: ClaimedJob) -> None:
        """Do a job, and report the outcome."""
        key = f"{layout.identifier(job.subject)}/{_PREFIX}{int(time.time())}.mp4"
        begun = time.monotonic()
        try:
            outcome = JobOutcome(attempt=job.attempt, result=await self._compose(session, job, key))
        except asyncio.CancelledError:
            await self._release(session, job)
            raise
        except _GaveWay:
            await self._release(session, job)
            return
        except _Lost:
            _log.warning("lost the lease on the film of %s to another worker", job.subject)
            return
        except _Failed as failed:
            _log.warning("cannot make the film of %s: %s", job.subject, failed)
            outcome = JobOutcome(attempt=job.attempt, error=str(failed), again=failed.again)
        held = False
        try:
            held = await self._tell(session, job, "outcome", outcome)
        finally:
            if not held:
                await self._objects.remove(key)
        if held:
            await asyncio.to_thread(shutil.rmtree, self._work / job.subject, ignore_errors=True)
        if held and outcome.result is not None:
            await self._remove_older(job.subject, key)
        _log.info("the film of %s took %.1f s", job.subject, time.monotonic() - begun)

    async def _release(self, session: aiohttp.ClientSession, job: ClaimedJob) -> None:
        try:
            async with asyncio.timeout(_RELEASE_SECONDS):
                await self._tell(session, job, "outcome", JobOutcome(attempt=job.attempt, released=True))
        except (aiohttp.ClientError, TimeoutError) as error:
            _log.info("cannot release the film of %s; its lease will lapse: %s", job.subject, error)

    async def _remove_older(self, recording: str, kept: str) -> None:
        for found in await self._objects.list(f"{recording}/"):
            if found.key.startswith(f"{recording}/{_PREFIX}") and found.key < kept:
                await self._objects.remove(found.key)

    async def _compose(self, session: aiohttp.ClientSession, job: ClaimedJob, key: str) -> dict[str, object]:
        self._share = 0.0
        making = asyncio.create_task(self._make(job))
        try:
            while not (await asyncio.wait((making,), timeout=LEASE_SECONDS / 6))[0]:
                word = JobProgress(attempt=job.attempt, progress=self._share)
                if not await self._tell(session, job, "progress", word):
                    raise _Lost
            film, manifest = making.result()
        except (OSError, ValueError) as error:
            raise _Failed(str(error), again=isinstance(error, OSError)) from error
        finally:
            making.cancel()
            await asyncio.gather(making, return_exceptions=True)
        size, digest = await asyncio.to_thread(_measure, film)
        try:
            await self._objects.put_file(key, film, sha256=digest, move=True)
        except OSError as error:
            raise _Failed(str(error), again=True) from error
        return {
            "file": key.partition("/")[2],
            "bytes": size,
            "sha256": digest,
            "duration_ms": manifest.duration_ms,
        }

    async def _make(self, job: ClaimedJob) -> tuple[Path, Manifest]:
        """Return the film. Raises OSError, ValueError, _Failed, _GaveWay."""
        root = self._config.recordings_dir
        data = await self._objects.get(f"{job.subject}/{layout.MANIFEST_NAME}")
        manifest = decode_manifest(data)
        made_of = hashlib.sha256(data + str(VERSION).encode()).hexdigest()[:16]
        directory = await asyncio.to_thread(_begin, self._work / job.subject, made_of)
        if self._objects.store.local_path("any") is None:
            root = directory / "files"
            await self._fetch([file.key for track in manifest.tracks for file in track.files], root)
        document, film = directory / "manifest.json", directory / "film.mp4"
        await asyncio.to_thread(document.write_bytes, data)
        await self._run(root, document, film, directory)
        return film, manifest

    async def _fetch(self, keys: list[str], root: Path) -> None:
        """Fetch the files that are missing here. OSError, ValueError."""
        for key in keys:
            path = layout.path_of_key(root, key)
            if not path.exists():
                await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
                arriving = path.with_name(f"{path.name}.part")
                await self._objects.call(self._objects.store.fetch, key, arriving)
                await asyncio.to_thread(arriving.replace, path)

    async def _run(self, root: Path, document: Path, film: Path, parts: Path) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "recorder.compose", str(root), str(document), str(film), str(parts), str(_TURN_SECONDS)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=_PACKAGES,
            env={name: os.environ[name] for name in ("PATH", "LANG", "LD_LIBRARY_PATH") if name in os.environ},
        )
        assert process.stdout is not None and process.stderr is not None
        try:
            complaints = asyncio.create_task(process.stderr.read(1 << 16))
            async for line in process.stdout:
                with contextlib.suppress(ValueError):
                    self._share = float(line)
            code = await process.wait()
            last = (await complaints).decode(errors="replace").strip().rpartition("\n")[2]
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if code == GAVE_WAY:
            raise _GaveWay
        if code:
            raise _Failed(last or f"composing ended with {code}", again=code < 0)

    async def _tell(
        self, session: aiohttp.ClientSession, job: ClaimedJob, what: str, word: JobProgress | JobOutcome
    ) -> bool:
        """Tell control; returns True if the job is still this worker's. Raises aiohttp.ClientError, TimeoutError."""
        async with session.post(self._url(f"{job.id}/{what}"), data=msgspec.json.encode(word)) as answer:
            answer.raise_for_status()
            return msgspec.json.decode(await answer.read(), type=JobHeld).held

    def _url(self, rest: str) -> str:
        return f"{self._config.control_url.rstrip('/')}/internal/v1/jobs/{rest}"


def _begin(work: Path, made_of: str) -> Path:
    """Return the directory of a film, cleared of parts from other material and of incomplete parts."""
    directory = work / made_of
    directory.mkdir(parents=True, exist_ok=True)
    for path in work.iterdir():
        if path != directory:
            shutil.rmtree(path)
    for path in directory.glob("*.tmp"):
        path.unlink(missing_ok=True)
    return directory


def _forget_old(all_work: Path, before: float) -> None:
    """Delete parts of films that nobody continued, also those of recorders that are gone."""
    for made in all_work.glob("*/*/*"):
        with contextlib.suppress(OSError):
            if made.stat().st_mtime < before:
                shutil.rmtree(made.parent)


def _measure(film: Path) -> tuple[int, str]:
    with film.open("rb") as file:
        return film.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()
