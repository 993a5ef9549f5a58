"""Composes films of finished recordings: claims jobs from control, runs a process for each, and stores the result.

The process gets no secrets but the keys of its recording, if that is encrypted, and has the lowest priority. A film is
stored under a unique name, and is valid only once control has accepted that attempt, so the result of an expired lease
is never shown.

Finished parts of a film stay in `.composing/{recorder}/{recording}/{film}/{hash of its sources}` until the film is
complete or has failed, so that the next attempt continues from them. A job is released when the recorder stops, and
after a while, so that other jobs get a turn.
"""

import asyncio
import contextlib
import hashlib
import logging
import shutil
import time
from pathlib import Path
from typing import NamedTuple

import aiohttp
import msgspec

from foundation.failures import describe
from foundation.film_options import SOUND_ONLY, FilmOptions, from_job
from foundation.jobs import LEASE_SECONDS, ClaimedJob, JobHeld, JobOutcome, JobProgress, JobRequest
from foundation.part_tls import part_session
from objects.sealed_file import Files
from objects.sealed_store import SealedStore
from objects.store import read_all
from objects.threads import Objects
from recorder import layout, leases, media_process
from recorder.compose.contract import COMPOSE, GAVE_WAY, VERSION, belongs_to, early_directory, given_keys
from recorder.compose.cuts import Cuts
from recorder.compose.scenes import film_chapters
from recorder.compose.storyboard_files import storyboard_paths
from recorder.config import RecorderConfig
from recorder.following import Following
from recorder.manifest import Manifest, decode_manifest

_log = logging.getLogger(__name__)

KIND = COMPOSE
ORDERED = "film"
_PREFIX = "composed-"
_TURN_SECONDS = 600.0
_KEPT_SECONDS = 86_400.0
"""The age at which unfinished work is deleted."""
_RELEASE_SECONDS = 1.5
"""The maximum time that a stopping recorder waits for control; the lease expires anyway."""
_POLL_SECONDS = 2.0
_IDLE_POLL_SECONDS = 5.0
_MAX_POLL_SECONDS = 30.0
_TIMEOUT = aiohttp.ClientTimeout(total=10)
_PIECE = 1 << 20


class _Work(NamedTuple):
    """A film to make. `name` is that of its file, within the recording."""

    job: ClaimedJob
    options: FilmOptions
    name: str
    directory: Path


class _Failed(Exception):
    """The film failed; `again`: another attempt may succeed."""

    def __init__(self, detail: str, *, again: bool) -> None:
        super().__init__(detail)
        self.again = again


class _GaveWay(Exception):
    """The film is not complete yet, but the process has yielded to other films."""


class _Lost(Exception):
    """Another worker has the job now."""


class Composer:
    """Makes films, several at a time. `objects` is the store of recordings, None if they are on this disk."""

    def __init__(
        self, config: RecorderConfig, objects: Objects | None, local: Objects, following: Following | None = None
    ) -> None:
        self._config = config
        self._objects = objects or local
        self._content = SealedStore(self._objects.store, config.operator_keys)
        self._node = config.instance if objects is None else None
        self._all_work = config.recordings_dir / ".composing"
        self._work = work_of(config)
        self._following = following
        self._shares: dict[str, float] = {}
        self._asking = asyncio.Lock()

    async def run(self) -> None:
        """Work until cancelled."""
        if not self._config.control_url or self._config.films_at_once < 0:
            return
        await asyncio.to_thread(_forget_old, self._all_work, time.time() - _KEPT_SECONDS)
        async with (
            part_session(self._config.node_secret, self._config.tls, _TIMEOUT) as session,
            asyncio.TaskGroup() as tasks,
        ):
            for _ in range(self._config.most_films):
                tasks.create_task(self._work_on(session))

    async def _work_on(self, session: aiohttp.ClientSession) -> None:
        """Process jobs one after another."""
        while True:
            job = await self._next(session)
            try:
                await self._do(session, job)
            except (aiohttp.ClientError, TimeoutError, OSError, msgspec.DecodeError) as error:
                _log.debug("the film of %s: %s", job.subject, error)

    async def _next(self, session: aiohttp.ClientSession) -> ClaimedJob:
        """Wait for a job. One worker asks at a time, ever less often."""
        async with self._asking:
            delay = _POLL_SECONDS
            while True:
                longest = _IDLE_POLL_SECONDS
                try:
                    if (job := await self._claim(session)) is not None:
                        return job
                except (aiohttp.ClientError, TimeoutError, OSError, msgspec.DecodeError) as error:
                    _log.debug("no job: %s", error)
                    longest = _MAX_POLL_SECONDS
                await asyncio.sleep(delay)
                delay = min(1.5 * delay, longest)

    async def _claim(self, session: aiohttp.ClientSession) -> ClaimedJob | None:
        asked = msgspec.json.encode(JobRequest(kinds=[KIND, ORDERED], node=self._node))
        async with session.post(self._url("claim"), data=asked) as answer:
            answer.raise_for_status()
            data = await answer.read()
        return msgspec.json.decode(data, type=ClaimedJob) if answer.status == 200 else None

    async def _do(self, session: aiohttp.ClientSession, job: ClaimedJob) -> None:
        """Process a job, and report the outcome."""
        recording = layout.identifier(job.subject)
        made: list[str] = []
        begun = time.monotonic()
        try:
            work = self._work_of(job, recording)
            result = await self._compose(session, work, made)
            outcome = JobOutcome(attempt=job.attempt, result=result)
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
            for key in made if not held else ():
                await self._objects.remove(key)
        if held:
            await asyncio.to_thread(_remove_work, self._directory(job))
        if held and outcome.result is not None and job.kind == KIND:
            await self._remove_older(recording, f"{recording}/{work.name}")
        _log.info("the film of %s took %.1f s", job.subject, time.monotonic() - begun)

    def _work_of(self, job: ClaimedJob, recording: str) -> _Work:
        """Return the work of a job. Raises _Failed."""
        try:
            options = from_job(job.options)
        except ValueError as error:
            raise _Failed(f"options that this recorder does not know: {error}", again=False) from error
        stem = (
            f"film-{layout.identifier(job.id)}-{job.attempt}" if job.kind == ORDERED else f"{_PREFIX}{int(time.time())}"
        )
        return _Work(job, options, f"{stem}.{options.format}", self._directory(job))

    def _directory(self, job: ClaimedJob) -> Path:
        return (
            self._work / layout.identifier(job.subject) / (layout.identifier(job.id) if job.kind == ORDERED else KIND)
        )

    async def _release(self, session: aiohttp.ClientSession, job: ClaimedJob) -> None:
        try:
            async with asyncio.timeout(_RELEASE_SECONDS):
                await self._tell(session, job, "outcome", JobOutcome(attempt=job.attempt, released=True))
        except (aiohttp.ClientError, TimeoutError) as error:
            _log.info("cannot release the film of %s; its lease will expire: %s", job.subject, error)

    async def _remove_older(self, recording: str, kept: str) -> None:
        for found in await self._objects.list(f"{recording}/"):
            stem = found.key.rpartition(".")[0]
            if stem.startswith(f"{recording}/{_PREFIX}") and stem < kept.rpartition(".")[0]:
                await self._objects.remove(found.key)

    async def _compose(self, session: aiohttp.ClientSession, work: _Work, stored: list[str]) -> dict[str, object]:
        """Make and store a film; return its result. The keys of stored files are added to `stored`."""
        job = work.job
        making = asyncio.create_task(self._make(work))
        try:
            while not (await asyncio.wait((making,), timeout=LEASE_SECONDS / 6))[0]:
                word = JobProgress(attempt=job.attempt, progress=self._shares.get(job.id, 0.0))
                if not await self._tell(session, job, "progress", word):
                    raise _Lost
            film, manifest = making.result()
        except (OSError, ValueError) as error:
            raise _Failed(describe(error), again=isinstance(error, OSError)) from error
        finally:
            self._shares.pop(job.id, None)
            making.cancel()
            await asyncio.gather(making, return_exceptions=True)
        files = [film] if work.options.format in SOUND_ONLY else [film, *storyboard_paths(film)]
        access = await self._objects.call(self._content.files, job.subject)
        size, digest = await asyncio.to_thread(_measure, film, access)
        try:
            for path in files:
                stored.append(f"{job.subject}/{path.name}")
                await self._objects.put_file(stored[-1], path, sha256=digest if path is film else "", move=True)
        except OSError as error:
            raise _Failed(describe(error), again=True) from error
        return {
            "file": film.name,
            "bytes": size,
            "sha256": digest,
            "duration_ms": Cuts(work.options.ranges, manifest.duration_ms).total_ms,
            "storyboard": files[-1].name if len(files) > 1 else None,
            "chapters": [chapter._asdict() for chapter in film_chapters(manifest, work.options)],
        }

    async def _make(self, work: _Work) -> tuple[Path, Manifest]:
        """Make a film; return its file. Raises OSError, ValueError, _Failed, _GaveWay."""
        root = self._config.recordings_dir
        key = f"{work.job.subject}/{layout.MANIFEST_NAME}"
        data = await self._objects.call(read_all, self._content, key)
        files = await self._objects.call(self._content.files, work.job.subject)
        manifest = decode_manifest(data)
        options = msgspec.json.encode(work.options)
        said = msgspec.json.encode(work.job.said)
        made_of = hashlib.sha256(data + options + said + str(VERSION).encode()).hexdigest()[:16]
        if self._following is not None:
            await self._following.settled(work.job.subject)
        is_automatic = work.job.kind == KIND and work.options == FilmOptions() and not work.job.said
        early_of = hashlib.sha256(data).hexdigest() if is_automatic else ""
        directory = await asyncio.to_thread(_begin, work.directory, made_of, early_of)
        if self._objects.store.local_path("any") is None:
            root = directory / "files"
            await self._fetch([file.key for track in manifest.tracks for file in track.files], root)
        await asyncio.to_thread((directory / "manifest.json").write_bytes, files.sealed(data))
        await asyncio.to_thread((directory / "options.json").write_bytes, files.sealed(options))
        await asyncio.to_thread((directory / "captions.json").write_bytes, files.sealed(said))
        film = directory / work.name
        await self._run(root, film, work, files)
        return film, manifest

    async def _fetch(self, keys: list[str], root: Path) -> None:
        """Fetch the files that are missing on this disk. Raises OSError, ValueError."""
        for key in keys:
            path = layout.path_of_key(root, key)
            if not path.exists():
                await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
                arriving = path.with_name(f"{path.name}.part")
                await self._objects.call(self._objects.store.fetch, key, arriving)
                await asyncio.to_thread(arriving.replace, path)

    async def _run(self, root: Path, film: Path, work: _Work, files: Files) -> None:
        process = await media_process.start("recorder.compose", str(root), str(film), str(_TURN_SECONDS))
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        try:
            process.stdin.write(given_keys(files))
            process.stdin.close()
            complaints = asyncio.create_task(process.stderr.read(1 << 16))
            async for line in process.stdout:
                with contextlib.suppress(ValueError):
                    self._shares[work.job.id] = float(line)
            code = await process.wait()
            last = media_process.last_line(await complaints)
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
        """Report to control; return True if this worker still has the job. Raises aiohttp.ClientError, TimeoutError."""
        async with session.post(self._url(f"{job.id}/{what}"), data=msgspec.json.encode(word)) as answer:
            answer.raise_for_status()
            return msgspec.json.decode(await answer.read(), type=JobHeld).held

    def _url(self, rest: str) -> str:
        return f"{self._config.control_url.rstrip('/')}/internal/v1/jobs/{rest}"


def work_of(config: RecorderConfig) -> Path:
    """Return the directory of a recorder's unfinished films."""
    return config.recordings_dir / ".composing" / leases.file_name(config.instance)


def _begin(work: Path, made_of: str, early_of: str) -> Path:
    """Return the directory of a film, without parts from other sources and incomplete parts.

    It begins with what was made while the recording ran, if that belongs to the manifest with the hash `early_of`.
    """
    directory = work / made_of
    early = early_directory(work)
    with contextlib.suppress(FileNotFoundError):
        if not directory.exists() and belongs_to(early).read_text() == early_of:
            early.rename(directory)
    directory.mkdir(parents=True, exist_ok=True)
    for path in work.iterdir():
        if path != directory:
            shutil.rmtree(path)
    for path in directory.glob("*.tmp"):
        path.unlink(missing_ok=True)
    return directory


def _remove_work(directory: Path) -> None:
    """Delete the parts of a film, and the directory of its recording if no other film of it is being made."""
    shutil.rmtree(directory, ignore_errors=True)
    with contextlib.suppress(OSError):
        directory.parent.rmdir()


def _forget_old(all_work: Path, before: float) -> None:
    """Delete abandoned parts of films, also those of recorders that have disappeared."""
    for made in all_work.glob("*/*/*/*"):
        with contextlib.suppress(OSError):
            if made.stat().st_mtime < before:
                shutil.rmtree(made.parent)


def _measure(film: Path, files: Files) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    with files.open(film) as file:
        while data := file.read(_PIECE):
            digest.update(data)
            size += len(data)
    return size, digest.hexdigest()
