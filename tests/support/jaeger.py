"""Jaeger, with the configuration that is deployed, on free ports and a folder of its own."""

import contextlib
import json
import subprocess
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from tests.support.ports import free_ports
from tests.support.real_programs import found
from tests.support.waiting import accepts, until_up

_DEPLOYED = Path(__file__).parents[2] / "deploy" / "jaeger" / "config.yaml"


@dataclass(frozen=True, slots=True)
class Jaeger:
    """A running Jaeger: `otlp` takes spans, `query` answers."""

    otlp: str
    query: str

    def traces(self, service: str, **tags: str) -> list[dict[str, Any]]:
        """Return the traces of a service whose spans have all `tags`, by the API that its page uses."""
        asked = urllib.parse.urlencode({"service": service, "tags": json.dumps(tags)})
        with urllib.request.urlopen(f"{self.query}/api/traces?{asked}", timeout=30) as answer:
            found: list[dict[str, Any]] = json.load(answer)["data"] or []
        return found


@contextlib.contextmanager
def running_jaeger() -> Iterator[Jaeger]:
    """Run Jaeger until the end."""
    program = found("jaeger")
    assert program is not None, "run `make real` first"
    ports = dict(zip(("grpc", "http", "query", "query_grpc", "health", "own"), free_ports(6), strict=True))
    with tempfile.TemporaryDirectory(prefix="jaeger-") as name:
        directory = Path(name)
        config = yaml.safe_load(_DEPLOYED.read_text())
        for protocol, there in config["receivers"]["otlp"]["protocols"].items():
            there["endpoint"] = f"127.0.0.1:{ports[protocol]}"
        extensions = config["extensions"]
        extensions["healthcheckv2"]["http"]["endpoint"] = f"127.0.0.1:{ports['health']}"
        extensions["jaeger_query"] |= {
            "http": {"endpoint": f"127.0.0.1:{ports['query']}"},
            "grpc": {"endpoint": f"127.0.0.1:{ports['query_grpc']}"},
        }
        badger = extensions["jaeger_storage"]["backends"]["spans"]["badger"]
        badger["directories"] = {kind: str(directory / kind) for kind in badger["directories"]}
        reader = {"pull": {"exporter": {"prometheus": {"host": "127.0.0.1", "port": ports["own"]}}}}
        config["service"]["telemetry"] = {"metrics": {"readers": [reader]}}
        (directory / "config.yaml").write_text(yaml.safe_dump(config))
        with (directory / "log").open("wb") as log:
            process = subprocess.Popen(
                [str(program), "--config", str(directory / "config.yaml")], stdout=log, stderr=log, cwd=directory
            )
            try:
                until_up(process, partial(accepts, ports["http"]), directory / "log")
                until_up(process, partial(accepts, ports["query"]), directory / "log")
                yield Jaeger(f"http://127.0.0.1:{ports['http']}", f"http://127.0.0.1:{ports['query']}")
            finally:
                process.terminate()
                process.wait(30)
