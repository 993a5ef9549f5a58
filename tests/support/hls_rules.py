"""The rules of playlists of live media (RFC 8216bis, second edition of HLS), checked as a player sees them.

`problems` reads one playlist; with the one before, it also checks what may change between two reloads.
"""

import re
from dataclasses import dataclass, field

_ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"]*"|[^,]*)')
_ONCE = ("VERSION", "TARGETDURATION", "MEDIA-SEQUENCE", "SERVER-CONTROL", "PART-INF", "ENDLIST")


@dataclass
class Segment:
    number: int
    uri: str = ""
    seconds: float = 0.0
    parts: list[dict[str, str]] = field(default_factory=list)


@dataclass
class Playlist:
    tags: dict[str, list[str]]
    segments: list[Segment]
    """The last one has no URI yet if its parts are not complete."""

    def attributes(self, tag: str) -> dict[str, str]:
        return attributes(self.tags[tag][0]) if tag in self.tags else {}

    @property
    def target(self) -> int:
        return int(self.tags["TARGETDURATION"][0])


def attributes(text: str) -> dict[str, str]:
    return {name: value.strip('"') for name, value in _ATTRIBUTE.findall(text)}


def parsed(text: str) -> Playlist:
    """Return the playlist; raises ValueError if it is none."""
    lines = text.splitlines()
    if not lines or lines[0] != "#EXTM3U" or not text.endswith("\n"):
        raise ValueError("no #EXTM3U")
    tags: dict[str, list[str]] = {}
    for line in lines:
        if line.startswith("#EXT-X-"):
            name, _, value = line.removeprefix("#EXT-X-").partition(":")
            tags.setdefault(name, []).append(value)
    segments = [Segment(int(tags.get("MEDIA-SEQUENCE", ["0"])[0]))]
    for line in lines:
        if line.startswith("#EXT-X-PART:"):
            segments[-1].parts.append(attributes(line.partition(":")[2]))
        elif line.startswith("#EXTINF:"):
            segments[-1].seconds = float(line.removeprefix("#EXTINF:").split(",")[0])
        elif line and not line.startswith("#"):
            segments[-1].uri = line
            segments.append(Segment(segments[-1].number + 1))
    return Playlist(tags, segments if segments[-1].parts else segments[:-1])


def problems(text: str, before: str | None = None) -> list[str]:
    """Return the rules that a low-latency playlist breaks."""
    playlist = parsed(text)
    tags = playlist.tags
    found = [f"{tag} appears twice" for tag in _ONCE if len(tags.get(tag, [])) > 1]
    found += [f"{tag} is missing" for tag in ("VERSION", "TARGETDURATION", "MAP") if tag not in tags]
    if found:
        return found
    found += _segments(playlist) + _parts(playlist) + _control(playlist)
    return found if before is None else found + _changes(parsed(before), playlist)


def _segments(playlist: Playlist) -> list[str]:
    found = []
    for segment in playlist.segments:
        if segment.uri and round(segment.seconds) > playlist.target:
            found.append(f"segment {segment.number} lasts {segment.seconds} s, over the target duration")
        if segment.uri and segment.parts:
            sum_of_parts = sum(float(part["DURATION"]) for part in segment.parts)
            if abs(sum_of_parts - segment.seconds) > 0.01:
                found.append(f"the parts of segment {segment.number} last {sum_of_parts}, not {segment.seconds} s")
    return found


def _parts(playlist: Playlist) -> list[str]:
    if "PART" not in playlist.tags:
        return []
    if "PART-INF" not in playlist.tags:
        return ["parts without PART-INF"]
    target = float(playlist.attributes("PART-INF")["PART-TARGET"])
    found = []
    left = 0.0
    for segment in reversed(playlist.segments):
        if segment.parts and left > 3 * playlist.target:
            found.append(f"parts of segment {segment.number} are listed, although it is old")
        left += segment.seconds or sum(float(part["DURATION"]) for part in segment.parts)
        for part in segment.parts:
            seconds, is_last = float(part["DURATION"]), bool(segment.uri) and part is segment.parts[-1]
            if seconds > target or (seconds < 0.85 * target and not is_last):
                found.append(f"part {part['URI']} lasts {seconds} s; the target is {target}")
        if segment.parts and segment.parts[0].get("INDEPENDENT") != "YES":
            found.append(f"segment {segment.number} does not begin with an independent part")
    hints = [attributes(one) for one in playlist.tags.get("PRELOAD-HINT", [])]
    if "ENDLIST" not in playlist.tags and [hint.get("TYPE") for hint in hints] != ["PART"]:
        found.append("there is not one hint to the next part")
    listed = {part["URI"] for segment in playlist.segments for part in segment.parts}
    found += [f"the hinted {hint['URI']} is already there" for hint in hints if hint["URI"] in listed]
    return found


def _control(playlist: Playlist) -> list[str]:
    control, found = playlist.attributes("SERVER-CONTROL"), []
    part = float(playlist.attributes("PART-INF").get("PART-TARGET", 0))
    if part and float(control.get("PART-HOLD-BACK", 0)) < 2 * part:
        found.append("PART-HOLD-BACK is below two part targets")
    if "HOLD-BACK" in control and float(control["HOLD-BACK"]) < 3 * playlist.target:
        found.append("HOLD-BACK is below three target durations")
    if "CAN-SKIP-UNTIL" in control and float(control["CAN-SKIP-UNTIL"]) < 6 * playlist.target:
        found.append("CAN-SKIP-UNTIL is below six target durations")
    if part and control.get("CAN-BLOCK-RELOAD") != "YES":
        found.append("parts without CAN-BLOCK-RELOAD")
    total = sum(segment.seconds for segment in playlist.segments)
    if "ENDLIST" not in playlist.tags and total < 3 * playlist.target and playlist.segments[0].number > 0:
        found.append(f"segments were removed although only {total} s were left")
    return found


def _changes(before: Playlist, after: Playlist) -> list[str]:
    found = [
        f"{tag} changed"
        for tag in ("TARGETDURATION", "PART-INF", "VERSION")
        if before.tags.get(tag) != after.tags.get(tag)
    ]
    if "ENDLIST" in before.tags and before != after:
        found.append("it changed after its end")
    if after.segments[0].number < before.segments[0].number:
        found.append("MEDIA-SEQUENCE went back")
    now = {segment.number: segment for segment in after.segments}
    for segment in before.segments:
        later = now.get(segment.number)
        if later is None:
            if segment.number >= after.segments[0].number:
                found.append(f"segment {segment.number} disappeared")
        elif segment.uri and (segment.uri, segment.seconds) != (later.uri, later.seconds):
            found.append(f"segment {segment.number} changed")
        elif later.parts and later.parts[: len(segment.parts)] != segment.parts:
            found.append(f"parts of segment {segment.number} changed")
    for hint in map(attributes, before.tags.get("PRELOAD-HINT", [])):
        newer = [part["URI"] for one in after.segments for part in one.parts]
        older = [part["URI"] for one in before.segments for part in one.parts]
        added = [uri for uri in newer if uri not in older]
        if added and added[0] != hint["URI"]:
            found.append(f"{hint['URI']} was hinted, but {added[0]} came")
    return found
