"""`parley control`: run the control plane."""

import argparse

from control import main as control_main
from control.tuning import Tuning
from foundation.settings import Settings
from parley import part_process
from parley.part_configs import control_config


def main(settings: Settings, _: argparse.Namespace) -> int:
    """Run until SIGINT or SIGTERM; return the exit code. Raises SettingsError."""
    config = control_config(settings)
    tuning = Tuning(settings["max_participants"])
    return part_process.run(
        settings,
        "control",
        lambda ready: control_main.run(config, ready, tuning=tuning),
        live={"max_participants": tuning.limit_participants},
    )
