"""Jaeger itself finds the trace of a join by its meeting, whole and from its first hop."""

import asyncio
import time

from parley_client import Api
from sfu.api.signaling import Consent
from tests.deploy.test_traces import HOPS
from tests.inference.conftest import fetched_models
from tests.support.call import become_admin, call
from tests.support.jaeger import running_jaeger
from tests.support.server import running_server


async def test_a_join_is_found_by_its_meeting() -> None:
    models = str(fetched_models())  # without a recogniser nothing is tapped
    with (
        running_jaeger() as jaeger,
        running_server(otlp_url=jaeger.otlp, trace_ratio="1", https_port="-1", models_dir=models) as server,
    ):
        async with Api(server.url) as api:
            await become_admin(api, server.setup_token)
            meeting = await api.create_meeting("Traced")
            async with call(api, meeting) as (speaker, _):
                await speaker.send(Consent(text="1", recording=True, captions=True))
                await api.start_recording(meeting)
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
