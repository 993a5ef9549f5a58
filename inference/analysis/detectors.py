"""Set-up of the detectors of synthetic media. An operator's detectors run on Triton and are described by model cards.
If no card for voices is configured, the demonstration model is used once fetched: on Triton if that serves it, else in
a worker.
"""

import asyncio
import contextlib
import logging
from pathlib import Path

from inference.analysis.analysis import Analysis
from inference.config import InferenceConfig
from inference.models import catalogue, store
from inference.models.catalogue import SYNTHETIC_VOICE_MODEL
from inference.synthetic.detector import Detector, Medium, ModelCard, load_card
from inference.synthetic.detectors import FirstOf, LocalDetector

_log = logging.getLogger(__name__)

CARD = "card.toml"


async def run_detectors(config: InferenceConfig, analysis: Analysis) -> None:
    """Keep the detectors of `config` and of the directory of models running for `analysis`, until cancelled."""
    named = {Medium.VOICE: config.voice_detector_card, Medium.FACE: config.face_detector_card}
    async with asyncio.TaskGroup() as tasks:
        for medium, card in named.items():
            if card is not None:
                tasks.create_task(_operators(config, analysis, medium, card), name=f"{medium} detector")
        if config.voice_detector_card is None:
            tasks.create_task(_trained(config, analysis), name="trained detector")


async def _operators(config: InferenceConfig, analysis: Analysis, medium: Medium, path: Path) -> None:
    """Connect the detector that a model card describes."""
    try:
        card = load_card(path)
        if card.medium is not medium:
            raise ValueError(f"the card describes a detector of {card.medium}")
        if not config.triton_urls:
            raise ValueError("no Triton endpoint is configured to serve its model")
    except (OSError, ValueError) as error:
        _log.error("no detection of synthetic %s: the model card %s cannot be used: %s", medium, path, error)
        return
    async with contextlib.AsyncExitStack() as stack:
        analysis.add_detector(FirstOf(await _served(stack, config, card)))
        await asyncio.Event().wait()


async def _served(
    stack: contextlib.AsyncExitStack, config: InferenceConfig, card: ModelCard, identity: str | None = None
) -> list[Detector]:
    """Return the detector at each Triton endpoint, connected until `stack` is closed."""
    from inference.triton.detector_client import connected_detector  # noqa: PLC0415  needs the extra `triton`

    return [await stack.enter_async_context(connected_detector(url, card, identity)) for url in config.triton_urls]


async def _trained(config: InferenceConfig, analysis: Analysis) -> None:
    """Wait until the model was fetched, then keep its worker running."""
    directory = await store.appears(config.models_dir, catalogue.load().named(SYNTHETIC_VOICE_MODEL))
    try:
        card = load_card(directory / CARD)
    except (OSError, ValueError) as error:
        _log.error("no detection of synthetic voices: %s", error)
        return
    ready = asyncio.Event()
    local = LocalDetector(card, nice=config.nice, changed=ready.set)
    async with contextlib.AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
        tasks.create_task(local.run(directory), name="detector worker")
        detector: Detector = local
        if config.triton_urls:
            detector = FirstOf(await _served(stack, config, card, store.identity(directory)), (local,))
        await ready.wait()
        analysis.add_detector(detector)
