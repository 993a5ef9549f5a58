"""The catalogue of events: every kind that the code writes is in it, and its schemas are in docs/events.

The fixture `dsn` checks the events of all other tests against the schemas.
"""

import importlib.util
import json
import re
from datetime import UTC, datetime
from pathlib import Path

import jsonschema

from control.events import catalogue
from control.events.kafka_records import record
from control.store.outbox import Event

ROOT = Path(__file__).parents[3]
AREAS = "meeting|participant|breakouts|lobby|consent|track|recording|transcode|broadcast|egress|asr|chat|user"
BY_NAME = {"emotion.completed", "synthesis.completed"}  # of the jobs
NO_EVENTS = {"meeting.ics", "meeting.metadata_changed", "participant.metadata_changed"}  # a file; the audit log


def test_every_kind_that_is_written_has_a_schema() -> None:
    written = set()
    for path in (ROOT / "control").rglob("*.py"):
        if path.name != "catalogue.py":
            written |= set(re.findall(rf'"((?:{AREAS})\.[a-z_]+)"', path.read_text()))
    assert written - NO_EVENTS == catalogue.KINDS.keys() - BY_NAME


def test_the_kept_schemas_are_those_of_the_catalogue() -> None:
    spec = importlib.util.spec_from_file_location("event_schemas", ROOT / "docs" / "event_schemas.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    kept = {path.name: path.read_text() for path in (ROOT / "docs" / "events").glob("*.json")}
    assert kept == module.texts(), "run `python docs/event_schemas.py`"


def test_a_record_of_kafka_has_the_form_of_its_schema() -> None:
    payload = {"meeting": "m", "title": "Standup", "host": "user_1", "more": "of a later version"}
    event = Event(7, "t", "m", "m", 3, "meeting.created", payload, datetime.now(UTC))
    schema = catalogue.event_schema("meeting.created", catalogue.KINDS["meeting.created"])
    jsonschema.validate(json.loads(record(event).value), schema)
    broken = json.loads(record(event).value)
    del broken["data"]["host"]
    assert not jsonschema.Draft202012Validator(schema).is_valid(broken)
