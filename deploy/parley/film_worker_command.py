"""`parley film-worker`: make combined videos of recordings in S3, beside or instead of the recorders."""

import argparse
from dataclasses import replace

from foundation.settings import Settings, SettingsError
from parley import part_process
from parley.part_configs import recorder_config
from recorder import film_worker


def main(settings: Settings, _: argparse.Namespace) -> int:
    """Run until SIGINT or SIGTERM; return the exit code. Raises SettingsError."""
    config = recorder_config(settings)
    if config.s3 is None:
        raise SettingsError("film-worker needs s3_endpoint: recordings in a directory stay with their recorder")
    config = replace(config, instance=f"film-worker-{settings['sfu_node']}", films_at_once=max(0, config.films_at_once))
    return part_process.run(
        settings, "film-worker", lambda ready: film_worker.run(config, ready), settings["recorder_port"]
    )
