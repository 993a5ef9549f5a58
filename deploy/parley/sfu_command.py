"""`parley sfu`: run an sfu node, or supervise as many as `workers` sets."""

import argparse

from foundation.hot_settings import LiveSettings
from foundation.settings import Settings
from parley import part_process, workers
from parley.part_configs import sfu_config
from sfu.api.registration import MOVING_SECONDS
from sfu.server import main as sfu_main


def main(settings: Settings, _: argparse.Namespace) -> int:
    """Run until SIGINT or SIGTERM; return the exit code. Raises SettingsError."""
    if settings["workers"] > 1:
        return workers.run(settings)
    config = sfu_config(settings)
    tuning = sfu_main.Tuning()
    return part_process.run(
        settings,
        "sfu",
        lambda ready: sfu_main.run(config, ready, tuning),
        stop_seconds=0 if config.drain_seconds is None else config.drain_seconds + MOVING_SECONDS,
        live=LiveSettings(settings, {"max_participants": tuning.limit_participants}),
    )
