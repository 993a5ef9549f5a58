"""VictoriaLogs in place of Loki: it takes lines in Loki's push format, labelled as the shipped configuration does."""

import contextlib
import json
import re
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from parley.network import allocate_port
from tests.support.real_programs import found
from tests.support.waiting import accepts, until_up

_SHIPPED = Path(__file__).parents[2] / "deploy" / "loki" / "config.alloy"


def shipped_labels() -> set[str]:
    """Return the labels that the shipped configuration takes from a line."""
    (labels,) = re.findall(r"stage\.labels \{\s*values = \{([^}]*)\}", _SHIPPED.read_text())
    return set(re.findall(r"\w+", labels))


@dataclass(slots=True)
class VictoriaLogs:
    """A running VictoriaLogs; `shipped` counts the lines of each source that it has."""

    url: str
    shipped: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def ship(self, source: str, lines: Sequence[str]) -> None:
        """Push the new lines of a source; those that are not JSON are labelled with it."""
        new = lines[self.shipped[source] :]
        self.shipped[source] += len(new)
        streams = [_stream(source, line) for line in new]
        body = json.dumps({"streams": streams}).encode()
        push = f"{self.url}/insert/loki/api/v1/push?_msg_field=message"
        request = urllib.request.Request(push, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10):
            pass

    def find(self, query: str) -> list[dict[str, Any]]:
        """Return the lines that a query of LogsQL matches."""
        asked = urllib.parse.urlencode({"query": query})
        with urllib.request.urlopen(f"{self.url}/select/logsql/query?{asked}", timeout=10) as answer:
            return [json.loads(line) for line in answer.read().splitlines()]


def _stream(source: str, line: str) -> dict[str, Any]:
    with contextlib.suppress(ValueError):
        fields = json.loads(line)
        nanoseconds = int(datetime.fromisoformat(fields["time"]).timestamp() * 1e9)
        labels = {name: fields[name] for name in shipped_labels() if name in fields}
        return {"stream": labels, "values": [[str(nanoseconds), line]]}
    return {"stream": {"source": source}, "values": [[str(time.time_ns()), line]]}


@contextlib.contextmanager
def running_victoria_logs() -> Iterator[VictoriaLogs]:
    """Run VictoriaLogs until the end."""
    program = found("victoria-logs")
    assert program is not None, "run `make real` first"
    port = allocate_port()
    with tempfile.TemporaryDirectory(prefix="logs-") as name, (Path(name) / "log").open("wb") as log:
        options = [f"-httpListenAddr=127.0.0.1:{port}", f"-storageDataPath={name}/data"]
        process = subprocess.Popen([str(program), *options], stdout=log, stderr=log)
        try:
            until_up(process, partial(accepts, port), Path(name) / "log")
            yield VictoriaLogs(f"http://127.0.0.1:{port}")
        finally:
            process.terminate()
            process.wait(30)
