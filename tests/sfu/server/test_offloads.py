"""Offloads of network cards, as reported by the kernel."""

from sfu.server import offloads


def test_an_interface_tells_what_it_does_and_others_are_left_out() -> None:
    found = offloads.of_addresses(["127.0.0.1", "192.0.2.77"])
    assert list(found) == ["lo"]
    assert set(found["lo"]) == set(offloads.FEATURES)
    assert found["lo"]["tx-checksumming"] is True
    assert offloads.of_interface("no-such-card") == {}


def test_the_log_names_what_is_off() -> None:
    on = dict.fromkeys(offloads.FEATURES, True)
    cards = {"eth0": on, "eth1": on | {"tx-udp-segmentation": False}}
    assert offloads.switched_off(cards) == "eth1: tx-udp-segmentation"
    assert offloads.switched_off({"eth0": on}) == ""
