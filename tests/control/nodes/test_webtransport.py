"""WebTransport endpoints of nodes that a page is given and may connect to."""

import pytest

from control.nodes import webtransport
from sfu.api.registration import NodeRecord, WebTransportEndpoint


def record(name: str, endpoint: WebTransportEndpoint | None) -> NodeRecord:
    return NodeRecord(node=name, signaling_url="ws://x/", http_url="http://x", webtransport=endpoint)


def test_a_single_node_is_where_the_page_came_from() -> None:
    nodes = {"a": record("a", WebTransportEndpoint(port=8820, host="203.0.113.5", hash="aGk="))}
    assert webtransport.endpoint(nodes, "a") == WebTransportEndpoint(port=8820, hash="aGk=")
    assert webtransport.sources(nodes, "meet.test") == ["https://meet.test:8820"]
    assert webtransport.sources(nodes, "[2001:db8::1]") == ["https://[2001:db8::1]:8820"]


def test_of_several_nodes_those_with_a_public_address_are_told() -> None:
    nodes = {
        "a": record("a", WebTransportEndpoint(port=8820, host="a.meet.test")),
        "b": record("b", WebTransportEndpoint(port=8820)),
        "c": record("c", None),
    }
    assert webtransport.endpoint(nodes, "a") == WebTransportEndpoint(port=8820, host="a.meet.test")
    assert [webtransport.endpoint(nodes, name) for name in ("b", "c", "gone")] == [None, None, None]
    assert webtransport.sources(nodes, "meet.test") == ["https://a.meet.test:8820"]


@pytest.mark.parametrize("host", ["", "x; script-src *", "a b", "a\n"])
def test_a_host_that_is_none_opens_nothing(host: str) -> None:
    assert webtransport.sources({"a": record("a", WebTransportEndpoint(port=8820))}, host) == []
