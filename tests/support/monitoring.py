"""Real Prometheus and Alertmanager with the shipped configuration, for processes of a test."""

import contextlib
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from parley.network import allocate_port
from tests.support.alertmanager import SHIPPED, configuration
from tests.support.waiting import until

DEPLOY = Path(__file__).parents[2] / "deploy"


@dataclass(slots=True)
class Monitoring:
    """Addresses of the running servers."""

    prometheus: str
    alertmanager: str


@contextlib.contextmanager
def running_monitoring(
    targets: Mapping[str, int],
    node_secret: str,
    webhook: str,
    ports: Sequence[int] = (0, 0),
    *,
    patient: bool = False,
) -> Iterator[Monitoring]:
    """Run both with intervals shortened to a second; everything else is as shipped.

    `targets` are ports by job; `ports` are those of Prometheus and Alertmanager. Alerts wait for two seconds
    before they fire. If `patient`, intervals are of five seconds, and alerts wait as long as shipped.
    """
    with tempfile.TemporaryDirectory(prefix="monitoring-") as directory:
        home = Path(directory)
        ports = [port or allocate_port() for port in ports]
        (home / "secret").write_text(node_secret)
        (home / "webhook").write_text(webhook)
        # A missed scrape ends the time that an alert has waited, so a busy machine gets more time.
        (home / "prometheus.yml").write_text(_prometheus(home, targets, ports[1], ports[0], "5s" if patient else "1s"))
        (home / "alertmanager.yml").write_text(_alertmanager(home))
        _rules(home, patient=patient)
        commands = [
            [
                "prometheus",
                f"--config.file={home}/prometheus.yml",
                f"--storage.tsdb.path={home}/data",
                f"--web.listen-address=127.0.0.1:{ports[0]}",
                "--log.level=warn",
            ],
            [
                "prometheus-alertmanager",
                f"--config.file={home}/alertmanager.yml",
                f"--storage.path={home}/alerts",
                f"--web.listen-address=127.0.0.1:{ports[1]}",
                "--cluster.listen-address=",
                "--log.level=warn",
            ],
        ]
        with contextlib.ExitStack() as stack:
            for command in commands:
                log = stack.enter_context((home / f"{command[0]}.log").open("wb"))
                process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
                stack.callback(_stop, process)
            addresses = [f"http://127.0.0.1:{port}" for port in ports]
            for address in addresses:
                until(
                    partial(_answers, f"{address}/-/ready"),
                    why=lambda: "\n".join(path.read_text() for path in home.glob("*.log")),
                )
            yield Monitoring(*addresses)


def _prometheus(home: Path, targets: Mapping[str, int], alertmanager: int, own: int, interval: str) -> str:
    loaded: dict[str, Any] = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    loaded["global"] = dict.fromkeys(("scrape_interval", "scrape_timeout", "evaluation_interval"), interval)
    loaded["rule_files"] = [f"{home}/rules/*.yml"]
    loaded["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [f"127.0.0.1:{alertmanager}"]}]}]
    here = dict(targets) | {"alertmanager": alertmanager, "prometheus": own}
    jobs = [job for job in loaded["scrape_configs"] if job["job_name"] in here]
    for job in jobs:
        job.pop("dns_sd_configs", None)
        job["static_configs"] = [{"targets": [f"127.0.0.1:{here[job['job_name']]}"]}]
        if "authorization" in job:
            job["authorization"]["credentials_file"] = f"{home}/secret"
    return yaml.safe_dump(loaded | {"scrape_configs": jobs})


def _rules(home: Path, *, patient: bool) -> None:
    (home / "rules").mkdir()
    for path in (DEPLOY / "prometheus" / "rules").glob("*.yml"):
        loaded = yaml.safe_load(path.read_text())
        for group in loaded["groups"]:
            for rule in group["rules"]:
                if "for" in rule and not patient:
                    rule["for"] = "2s"
        (home / "rules" / path.name).write_text(yaml.safe_dump(loaded))


def _alertmanager(home: Path) -> str:
    loaded = yaml.safe_load(SHIPPED.read_text())
    for route in (loaded["route"], *loaded["route"]["routes"]):
        route |= {"group_wait": "1s", "group_interval": "1s"}
    return configuration(yaml.safe_dump(loaded), home / "webhook")


def _answers(url: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2):
        return True
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
