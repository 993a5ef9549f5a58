"""Requests are counted by the route that served them, never by an arbitrary path."""

from prometheus_client import REGISTRY

from tests.control.harness import People


def count(method: str, route: str, status: str) -> float:
    labels = {"method": method, "route": route, "status": status}
    return REGISTRY.get_sample_value("parley_control_http_requests_total", labels) or 0.0


async def test_requests_are_counted_by_route(people: People) -> None:
    route, nobody = "/api/v1/meetings/<meeting>/summary", people.nobody()
    missing, unknown = count("GET", route, "404"), count("GET", "unknown", "404")
    for number in range(3):
        await nobody.refused("GET", f"/api/v1/meetings/none-of-th{number}/summary")
        async with nobody.session.put(f"{nobody.server.url}/api/v1/invented/{number}") as answer:
            assert answer.status in {404, 405}
    assert count("GET", route, "404") == missing + 3
    assert not [
        sample
        for family in REGISTRY.collect()
        for sample in family.samples
        if "invented" in str(sample.labels) or "none-of-th" in str(sample.labels)
    ]
    assert count("GET", "unknown", "404") >= unknown
    assert REGISTRY.get_sample_value("parley_control_http_requests_open") == 0
