"""`parley recorder`: run the recorder for the sfu on this machine."""

import argparse

from foundation.settings import Settings
from parley import part_process
from parley.part_configs import recorder_config
from recorder import main as recorder_main
from recorder.config import SEAL_SECONDS


def main(settings: Settings, _: argparse.Namespace) -> int:
    """Run until SIGINT or SIGTERM; return the exit code. Raises SettingsError."""
    config = recorder_config(settings)
    return part_process.run(
        settings,
        "recorder",
        lambda ready: recorder_main.run(config, ready),
        settings["recorder_port"],
        stop_seconds=SEAL_SECONDS,
    )
