"""`parley ingress`: run ingress, which receives streams over RTMP and SRT, and reads them from URLs."""

import argparse

from foundation.settings import Settings, SettingsError
from ingress import main as ingress_main
from ingress.config import IngressConfig
from parley import browser, part_process
from parley.part_configs import control_url, listener_certificate, node_secret
from parley.part_encryption import part_tls


def main(settings: Settings, _: argparse.Namespace) -> int:
    """Run until SIGINT or SIGTERM; return the exit code. Raises SettingsError."""
    config = ingress_config(settings)
    return part_process.run(
        settings, "ingress", lambda ready: ingress_main.run(config, ready), settings["ingress_port"]
    )


def ingress_config(settings: Settings) -> IngressConfig:
    """Return ingress's configuration; raises SettingsError."""
    certificate, key = listener_certificate(settings, "rtmps_port")
    if not 180 <= settings["ingress_height"] <= 1080:
        raise SettingsError("ingress_height must be between 180 and 1080")
    return IngressConfig(
        instance=f"ingress-{settings['sfu_node']}",
        control_url=control_url(settings),
        node_secret=node_secret(settings),
        tls=part_tls(settings),
        host=settings["ingress_host"],
        rtmp_port=settings["rtmp_port"],
        rtmps_port=settings["rtmps_port"],
        srt_port=settings["srt_port"],
        certificate=certificate,
        private_key=key,
        streams=settings["ingress_streams"],
        height=settings["ingress_height"],
        browser=browser.find(settings["browser"]),
        pages=settings["browser_pages"],
    )
