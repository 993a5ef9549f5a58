"""The two small programs in the image: the health check of a part, and the check for an empty sfu."""

import datetime
import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from foundation.followed_certificate import ServedCertificate
from parley import certificate

DOCKER = Path(__file__).parents[2] / "deploy" / "docker"


class Part(http.server.ThreadingHTTPServer):
    """Answers with one status, and counts down its participants."""

    def __init__(self, status: int = 200, participants: int = 0) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status, self.participants = status, participants
        self.asked = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Part

    def do_GET(self) -> None:
        self.server.asked += 1
        body = f"# HELP\nparley_sfu_participants {self.server.participants}.0\n".encode()
        self.server.participants = max(0, self.server.participants - 1)
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def part() -> Iterator[Part]:
    with Part() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def run(program: str, *arguments: str) -> int:
    # Quick, where the image would wait seconds.
    code = (DOCKER / program).read_text().replace("POLL_SECONDS = 5.0", "POLL_SECONDS = 0.01")
    return subprocess.run([sys.executable, "-", *arguments], input=code, text=True, timeout=60, check=False).returncode


def test_healthy_asks_the_part(part: Part) -> None:
    assert run("healthy.py", part.url) == 0
    part.status = 503
    assert run("healthy.py", part.url) == 1
    assert run("healthy.py", "http://127.0.0.1:9/", part.url) == 1


def test_healthy_asks_over_tls_whatever_the_certificate_says(part: Part, tmp_path: Path) -> None:
    made = certificate.ensure(tmp_path, ["elsewhere.example"], datetime.datetime.now(datetime.UTC))
    part.socket = ServedCertificate(made.certificate, made.key).context.wrap_socket(part.socket, server_side=True)
    assert run("healthy.py", part.url.replace("http", "https")) == 0
    assert run("healthy.py", part.url) == 1
    assert run("drained.py", part.url.replace("http", "https")) == 0


def test_healthy_ends_a_part_that_stands_still(part: Part, tmp_path: Path) -> None:
    """In a PID namespace, where the part is the child of the first process as in a container."""
    answered = tmp_path / "answered-at"
    program = tmp_path / "healthy.py"
    text = (DOCKER / "healthy.py").read_text().replace('"/tmp/parley-answered-at"', f'"{answered}"')
    program.write_text(text)
    check = f"{sys.executable} {program} --restart-unless {part.url} {part.url}"
    # The part is `sleep`; the shell is the first process, and checks from outside as Docker does.
    script = f"sleep 60 & {check}; echo $?; kill -0 $! && echo lives"
    inside = ["unshare", "--pid", "--fork", "--mount-proc", "sh", "-c", script]

    def said() -> list[str]:
        return subprocess.run(inside, capture_output=True, text=True, timeout=60, check=False).stdout.split()

    part.status = 503
    assert said() == ["1", "lives"], "it may take its time to start"
    part.status = 200
    assert said() == ["0", "lives"]
    part.status = 503
    assert said() == ["1", "lives"], "a short silence is nothing"
    answered.write_text("0")
    assert "lives" not in said()
    assert not answered.exists()


def test_drained_returns_when_the_last_has_left(part: Part) -> None:
    part.participants = 3
    assert run("drained.py", part.url) == 0
    assert part.asked == 4


def test_drained_leaves_time_to_hand_over_what_goes_on(part: Part) -> None:
    part.participants = 1_000_000
    assert run("drained.py", part.url, "0.3") == 0
    assert part.participants


def test_drained_takes_no_failed_answer_for_an_empty_sfu(part: Part) -> None:
    part.status = 503
    assert run("drained.py", part.url, "0.3") == 0
    assert part.asked > 3


def test_drained_does_not_wait_for_an_sfu_that_is_gone() -> None:
    assert run("drained.py", "http://127.0.0.1:9/") == 0
