"""Calls of two browsers in a running project, and its REST API as its first administrator."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from parley_client import Api
from tests.containers.browsing import Caller, two_callers
from tests.containers.project import Project
from tests.support.call import PASSWORD


def url(project: Project) -> str:
    return f"https://{project.daemon.address}"


@contextlib.asynccontextmanager
async def signed_in(project: Project) -> AsyncIterator[Api]:
    async with Api(url(project), verify_tls=False) as api:
        await api.login("admin", PASSWORD)
        yield api


@contextlib.asynccontextmanager
async def a_call(project: Project, speech: Path | None = None) -> AsyncIterator[tuple[Api, str, tuple[Caller, Caller]]]:
    async with signed_in(project) as api:
        meeting = await api.create_meeting("In containers")
        async with two_callers(url(project), meeting, project.daemon.from_outside, speech) as callers:
            yield api, meeting, callers
