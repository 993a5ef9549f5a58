"""Quality of participants' media, measured by the sfu and read by hosts."""

from tests.control.harness import People, report


async def test_hosts_read_what_was_measured(people: People) -> None:
    host = await people.user("ada")
    meeting = (await host.ok("POST", "/api/v1/meetings", {}))["id"]
    participant = (await host.ok("POST", f"/api/v1/meetings/{meeting}/join", {}))["participant"]
    track = {"track": "t-1", "direction": "subscribe", "layer": "h", "bitrate": 500_000, "loss": 0.02, "jitter_ms": 3.5}
    fact = {
        "kind": "quality", "room": meeting, "participant": participant, "seconds": 60,
        "round_trip_ms": 48.5, "estimate": 2_000_000, "tracks": [track | {"freezes": 1, "paused": 4}],
    }  # fmt: skip
    await report(
        host, {**fact, "at": 60_000, "round_trip_ms": None}, {**fact, "at": 90_000, "seconds": 30, "final": True}, n=1
    )
    page = await host.ok("GET", f"/api/v1/meetings/{meeting}/quality?limit=1")
    (newest,) = page["measured"]
    assert (newest["seconds"], newest["final"], newest["round_trip_ms"]) == (30, True, 48.5)
    assert newest["tracks"] == [track | {"freezes": 1, "paused": 4}]
    older = await host.ok("GET", f"/api/v1/meetings/{meeting}/quality?cursor={page['next']}&participant={participant}")
    assert [(row["seconds"], row["round_trip_ms"]) for row in older["measured"]] == [(60, None)]
    assert older["next"] is None
    other = await host.ok("GET", f"/api/v1/meetings/{meeting}/quality?participant=p-none")
    assert other["measured"] == []


async def test_what_is_measured_of_strangers_is_dropped(people: People) -> None:
    host = await people.user("ada")
    meeting = (await host.ok("POST", "/api/v1/meetings", {}))["id"]
    fact = {"kind": "quality", "room": meeting, "at": 1, "participant": "p-none", "seconds": 60}
    assert await report(host, fact, n=1) == {"acknowledged": 1}
    assert (await host.ok("GET", f"/api/v1/meetings/{meeting}/quality"))["measured"] == []
