"""`parley control`: run the control plane."""

import argparse

from control import main as control_main
from control.runtime_settings import RuntimeSettings
from foundation.hot_settings import LiveSettings
from foundation.settings import Settings
from parley import part_process
from parley.part_configs import control_config, live_fields


def main(settings: Settings, _: argparse.Namespace) -> int:
    """Run until SIGINT or SIGTERM; return the exit code. Raises SettingsError."""
    config = control_config(settings)
    live = LiveSettings(settings, {})
    runtime = RuntimeSettings(config, live, live_fields)
    return part_process.run(
        settings, "control", lambda ready: control_main.run(config, ready, runtime=runtime), live=live
    )
