"""`parley inference`: run captions and other inference for the sfu on this machine."""

import argparse
import os

from foundation.settings import Settings
from inference import main as inference_main
from parley import part_process
from parley.part_configs import inference_config


def main(settings: Settings, _: argparse.Namespace) -> int:
    """Run until SIGINT or SIGTERM; return the exit code. Raises SettingsError."""
    config = inference_config(settings)
    os.setpriority(os.PRIO_PROCESS, 0, config.nice)  # forwarding goes first
    return part_process.run(settings, "inference", lambda ready: inference_main.run(config, ready))
