"""Images are stored under the names that were asked for, and their numbers continue after a restart."""

import asyncio
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from foundation.background import cancel_all
from foundation.broadcasts import ImageOptions, OutputOrder, OutputView
from foundation.media_units import Unit, UnitKind
from objects.directory import DirectoryStore
from objects.threads import Objects
from recorder.broadcast.image_output import ImageOutput
from tests.support.waiting import eventually


async def stored(directory: Path, options: ImageOptions, *images: bytes) -> int:
    """Store images as an output, and return how many it reports."""
    with ThreadPoolExecutor(1) as threads:
        objects = Objects(DirectoryStore(directory), directory, threads)
        order = OutputOrder(id="o", kind="images", view=OutputView(images=options), folder="_images/m/o/")
        output = ImageOutput(order, time.monotonic_ns(), objects)
        running = asyncio.create_task(output.run())
        await eventually(lambda: output.state().phase == "live")
        before = output.state().images
        output.put(Unit(UnitKind.VIDEO, True, 0, b"not an image"))
        for image in images:
            output.put(Unit(UnitKind.IMAGE, True, 0, image))
        await eventually(lambda: output.state().images == before + len(images))
        await cancel_all([running])
        return output.state().images


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (ImageOptions(prefix="shot"), r"shot_00000\.jpg shot_00001\.jpg shot_00002\.jpg"),
        (ImageOptions(suffix="none"), r"image\.jpg"),
    ],
)
async def test_numbers_continue(tmp_path: Path, options: ImageOptions, names: str) -> None:
    await stored(tmp_path, options, b"first", b"second")
    await stored(tmp_path, options, b"third")
    found = sorted((tmp_path / "_images" / "m" / "o").iterdir())
    assert re.fullmatch(names, " ".join(path.name for path in found))
    assert found[-1].read_bytes() == b"third"


async def test_a_time_is_that_of_the_picture(tmp_path: Path) -> None:
    before = time.time()
    await stored(tmp_path, ImageOptions(suffix="time"), b"now")
    (found,) = (tmp_path / "_images" / "m" / "o").iterdir()
    said = re.fullmatch(r"image_(\d{14})\d{3}", found.stem)
    assert said is not None
    shortly = {time.strftime("%Y%m%d%H%M%S", time.gmtime(before + seconds)) for seconds in range(-1, 60)}
    assert said[1] in shortly
