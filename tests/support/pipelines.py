"""Programs that a test starts and that end with it."""

import asyncio


class Pipelines:
    """Running programs, whose output is kept for `communicate`."""

    def __init__(self) -> None:
        self._started: list[asyncio.subprocess.Process] = []

    async def run(self, *command: str) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        self._started.append(process)
        return process

    async def stop(self) -> None:
        for process in self._started:
            if process.returncode is None:
                process.kill()
            await process.communicate()
