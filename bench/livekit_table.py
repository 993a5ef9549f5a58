"""Writer of the conformance page in the documentation: checks, members and events of the SDK, for each server."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from bench.livekit_checks import APPLICATION, CHECKS, LATER, REASONS


@dataclass
class Outcome:
    """Outcome of all checks against one server in one browser: failures, and all events seen."""

    failures: dict[str, str] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)
    events: set[str] = field(default_factory=set)


_MEMBER = re.compile(
    r"(/\*\*(?:(?!\*/).)*\*/)?\s*\n    (?!private|protected|constructor)(?:(?:static|readonly|get|set|async) )*"
    r"([A-Za-z_]\w*)\??(?:<[^(]*>)?[(:]",
    re.DOTALL,
)
_CLASSES = {
    "Room": "Room",
    "Participant": "participant/Participant",
    "LocalParticipant": "participant/LocalParticipant",
    "RemoteParticipant": "participant/RemoteParticipant",
}


def declared(package: Path) -> tuple[list[str], list[str]]:
    """Return the public members of rooms and participants, and the events, that the SDK declares."""
    base = package / "dist" / "src" / "room"
    members: list[str] = []
    for kind, file in _CLASSES.items():
        text = (base / f"{file}.d.ts").read_text()
        text = text[text.index(f"class {kind} ") :].partition("\n}")[0]
        found = [(name, said or "") for said, name in _MEMBER.findall(text)]
        members += [f"{kind}.{name}" for name, said in found if "@internal" not in said and "@hidden" not in said]
    events: list[str] = []
    text = (base / "events.d.ts").read_text()
    for kind in ("RoomEvent", "ParticipantEvent"):
        part = text[text.index(f"enum {kind} ") :].partition("\n}")[0]
        events += [f"{kind}.{name}" for name in re.findall(r"^    (\w+) = ", part, re.MULTILINE)]
    known = {member.partition(".")[2] for member in members if member.startswith("Participant.")}
    own = [
        one for one in members if one.partition(".")[0] in ("Room", "Participant") or one.partition(".")[2] not in known
    ]
    return list(dict.fromkeys(own)), sorted(set(events))


def _uses() -> dict[str, str]:
    """Return the SDK members that checks use, each with its first check."""
    uses: dict[str, str] = {"Room.connect": "connect ann"}
    rows = [*((check.about, check.uses) for check in CHECKS), *((about, of.split()) for about, of in LATER.items())]
    for about, names in rows:
        for name in names:
            uses.setdefault(name, about)
    return uses


def table(outcomes: dict[str, Outcome], version: str, members: list[str], events: list[str]) -> str:
    """Return the page of the documentation."""
    head = f"| | {' | '.join(outcomes)} |\n|---|{'---|' * len(outcomes)}\n"

    def mark(outcome: Outcome, about: str) -> str:
        said = outcome.failures.get(about, "not tested").removeprefix("Page.evaluate: ").removeprefix("Error: ")
        return "✓" if about in outcome.done else f"`{said}`".replace("|", "/")

    def row(name: str, marks: list[str]) -> str:
        return f"| {name} | {' | '.join(marks)} |"

    abouts = ["connect ann", "connect bob", *(one.about for one in CHECKS), *APPLICATION, *LATER]
    checks = [row(about, [mark(outcome, about) for outcome in outcomes.values()]) for about in abouts]
    uses, told = _uses(), []
    for name in members:
        if name in uses:
            told.append(row(f"`{name}`: {uses[name]}", [mark(outcome, uses[name]) for outcome in outcomes.values()]))
        else:
            told.append(row(f"`{name}`", [REASONS.get(name, "not tested")] * len(outcomes)))
    seen = [
        row(f"`{name}`", ["✓" if name in one.events else REASONS.get(name, "not seen") for one in outcomes.values()])
        for name in events
    ]
    return (
        "# Conformance to LiveKit's client\n\n"
        f"`livekit-client` {version} in Chromium and Firefox against each server."
        " `python -m bench.livekit_conformance`\n"
        "wrote this page. The fake microphone plays short beeps, which not every server detects as speech.\n"
        "Firefox runs without a screen to share. What LiveKit's server does after it was killed varies between runs.\n"
        "A cell says why something has no check, or how its check failed.\n"
        "Other statements of the page on [LiveKit's SDKs](livekit.md) were tested by hand.\n\n"
        f"## Checks\n\n{head}" + "\n".join(checks)
        + f"\n\n## Rooms and participants\n\n{head}" + "\n".join(told)
        + f"\n\n## Events\n\n{head}" + "\n".join(seen) + "\n"
    )  # fmt: skip
