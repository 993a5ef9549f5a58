"""From a trace in Jaeger to its log lines, and all lines of one meeting, in a store that takes Loki's push format."""

import asyncio

from tests.deploy.test_traces import HOPS, traced_call
from tests.support.jaeger import running_jaeger
from tests.support.victoria_logs import running_victoria_logs
from tests.support.waiting import eventually


async def test_a_trace_leads_to_its_log_lines() -> None:
    with running_jaeger() as jaeger, running_victoria_logs() as logs:
        async with traced_call(jaeger.otlp, log_format="json") as (server, meeting):

            def whole() -> list[str]:
                traces = jaeger.traces("parley-sfu", meeting=meeting)
                return [t["traceID"] for t in traces if {span["operationName"] for span in t["spans"]} >= HOPS]

            await eventually(lambda: asyncio.to_thread(whole), 60, "no whole trace")
            (trace, *_) = whole()

            def lines(query: str) -> list[str]:
                logs.ship("parley", server.lines)
                return [f"{line['part']}: {line['_msg']}" for line in logs.find(query)]

            def joined() -> bool:
                return any(line.startswith("sfu: ") and "joined" in line for line in lines(f'trace:"{trace}"'))

            await eventually(lambda: asyncio.to_thread(joined), 30, lambda: lines(f'trace:"{trace}"'))
            print(*lines(f'trace:"{trace}"'), sep="\n")

            def story() -> list[str]:
                return lines(f'meeting:"{meeting}"')

        def is_told() -> bool:
            told = story()
            return {line.partition(":")[0] for line in told} >= {"sfu", "recorder"} and sum(
                "left" in o for o in told
            ) == 2

        await eventually(lambda: asyncio.to_thread(is_told), 30, story)
        print(*story(), sep="\n")
