"""Jaeger itself finds the trace of a join by its meeting, whole and from its first hop."""

import asyncio
import time

from tests.deploy.test_traces import HOPS, traced_call
from tests.support.jaeger import running_jaeger


async def test_a_join_is_found_by_its_meeting() -> None:
    with running_jaeger() as jaeger:
        async with traced_call(jaeger.otlp) as (_, meeting):
            deadline = time.monotonic() + 60
            while True:
                traces = await asyncio.to_thread(jaeger.traces, "parley-sfu", meeting=meeting)
                names = [{span["operationName"] for span in trace["spans"]} for trace in traces]
                if any(found >= HOPS for found in names):
                    break
                assert time.monotonic() < deadline, names
                await asyncio.sleep(0.5)
        (whole,) = (trace for trace in traces if {span["operationName"] for span in trace["spans"]} >= HOPS)
        services = {process["serviceName"] for process in whole["processes"].values()}
        print(len(whole["spans"]), "spans of", sorted(services))
        assert services >= {f"parley-{part}" for part in ("control", "sfu", "recorder", "inference")}
        ids = {span["spanID"] for span in whole["spans"]}
        orphans = [s["operationName"] for s in whole["spans"] for r in s["references"] if r["spanID"] not in ids]
        assert orphans == []
        assert not any(tag["key"] == "error" and tag["value"] for span in whole["spans"] for tag in span["tags"])
