"""Logs: one JSON object per event, searchable by its ids, without secrets."""

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from foundation import logging_setup
from foundation.logging_setup import JsonFormatter, Redactor, TextFormatter
from foundation.settings import SettingsError, resolve
from parley_client import Api, ApiError
from tests.support.call import become_admin, call
from tests.support.server import RunningServer, running_server
from tests.support.waiting import eventually, until

JWT = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJlLXNpZ25hdHVyZQ"


def record(message: str, *arguments: object, **extra: str) -> logging.LogRecord:
    made = logging.LogRecord("sfu.server", logging.WARNING, "file.py", 1, message, arguments, None)
    vars(made).update(extra)
    return made


def event(made: logging.LogRecord, *known: str) -> dict[str, str]:
    line = JsonFormatter("sfu", Redactor(known)).format(made)
    assert "\n" not in line
    read: dict[str, str] = json.loads(line)
    return read


def test_an_event_is_one_line_with_time_part_and_ids() -> None:
    participant = f"participant_{'0a' * 16}"
    read = event(record("no state of room %s for %s:\n%s", "abcd-efgh-ijkl", participant, "why"))
    assert read["message"] == f"no state of room abcd-efgh-ijkl for {participant}:\nwhy"
    assert (read["meeting"], read["participant"]) == ("abcd-efgh-ijkl", participant)
    assert (read["part"], read["level"], read["logger"]) == ("sfu", "warning", "sfu.server")
    assert read["time"].endswith("+00:00")


def test_ids_may_be_given_as_extra_and_traces_by_the_tracer() -> None:
    made = record("hello", meeting="abcd-efgh-ijkl")
    line = JsonFormatter("sfu", Redactor(), lambda: {"trace": "4bf9", "span": "00f0"}).format(made)
    assert json.loads(line)["meeting"] == "abcd-efgh-ijkl"
    assert json.loads(line)["trace"] == "4bf9"


@pytest.mark.parametrize(
    ("said", "secret"),
    [
        (f"bad token {JWT}", JWT),
        ("Authorization: Bearer abcdefgh12345678", "abcdefgh12345678"),
        ("postgresql://parley:hunter22@db/parley refused", "hunter22"),
        ("redis://:hunter22@cache:6379/0 refused", "hunter22"),
        ("make the first administrator at https://a/setup?token=Zm9vYmFy", "Zm9vYmFy"),
        ("GET /x?passcode=4711&y=1", "4711"),
        ("{'password': 'two words', 'name': 'x'}", "two words"),
        ('{"rejoin_secret": "abc.def"}', "abc.def"),
        ("Cookie: __Host-parley-refresh=abc123; x=y", "abc123"),
        ("header was n0de-s3cret", "n0de-s3cret"),
    ],
)
def test_secrets_are_cut(said: str, secret: str) -> None:
    cut = Redactor(["n0de-s3cret"])(said)
    assert secret not in cut
    assert logging_setup.CUT in cut


def test_errors_are_cut_too() -> None:
    try:
        raise ValueError(f"bad token {JWT}")
    except ValueError:
        made = record("it failed")
        made.exc_info = sys.exc_info()
    read = event(made)
    assert "ValueError" in read["error"]
    assert JWT not in read["error"]


def test_ordinary_words_stay() -> None:
    text = "recorder ended with code 1; the token has expired, secret sharing is off: https://a/m/abcd-efgh-ijkl"
    assert Redactor()(text) == text


def test_text_keeps_links_that_are_meant_for_the_terminal_and_cuts_the_rest() -> None:
    redact = Redactor(["n0de-s3cret"], links=False)
    line = TextFormatter(redact).format(record("first administrator: /setup?token=Zm9v, n0de-s3cret, %s", JWT))
    assert "token=Zm9v" in line
    assert "n0de-s3cret" not in line
    assert JWT not in line


@pytest.fixture
def restored_logging() -> Iterator[None]:
    root, hook = logging.getLogger(), sys.excepthook
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], sys.excepthook = handlers, hook
    root.setLevel(level)


@pytest.mark.usefixtures("restored_logging")
def test_secret_settings_are_known_to_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    environment = {"PARLEY_NODE_SECRET": "n0de-s3cret", "PARLEY_LOG_FORMAT": "json", "HOME": "/nowhere"}
    logging_setup.install(resolve({}, environment), "control")
    logging.getLogger("control").info("the header was %s", "n0de-s3cret")
    assert json.loads(capsys.readouterr().err)["message"] == f"the header was {logging_setup.CUT}"


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(SettingsError, match="log_format"):
        resolve({"log_format": "xml"}, {"HOME": str(Path.home())})


async def test_a_whole_server_logs_json_and_no_secret_and_a_meeting_is_found() -> None:
    with running_server(log_format="json", node_secret="n0de-s3cret-n0de-s3cret", https_port="-1") as server:
        # The recorder attaches, and says so, after it is ready.
        until(lambda: {"control", "recorder"} <= {event["part"] for event in _events(server)}, 10)
        assert not [line for line in server.lines if "n0de-s3cret" in line]
        assert not [line for line in server.lines if server.setup_token in line or not line.startswith("{")]
        async with Api(server.url) as api:
            await become_admin(api, server.setup_token)
            meeting = await api.create_meeting("Logged")
            async with call(api, meeting):
                pass
            with pytest.raises(ApiError):
                await api.login("admin", "something else")
        await eventually(lambda: sum("left after" in one["message"] for one in _events(server)) == 2)
        about = [event["message"] for event in _events(server) if event.get("meeting") == meeting]
        people = {event["participant"] for event in _events(server) if "participant" in event}
        assert [sum(word in line for line in about) for word in ("opened", "joined", "left after")] == [1, 2, 2]
        assert all("first media after" in line for line in about if "left after" in line) and len(people) == 2
        await eventually(lambda: any("wrong_credentials, from 127.0.0.1" in one["message"] for one in _events(server)))


def _events(server: RunningServer) -> list[dict[str, Any]]:
    return [json.loads(line) for line in list(server.lines) if line.startswith("{")]
