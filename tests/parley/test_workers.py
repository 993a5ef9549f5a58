"""Several sfu processes on a machine: each has its own name, ports and socket, known to the other parts."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from foundation.settings import resolve
from parley import workers
from parley.part_configs import control_config, recorder_config

HOME = {"HOME": "/nowhere", "PARLEY_NODE_SECRET": "s", "PARLEY_RUNTIME_DIR": "/run/p", "PARLEY_HTTPS_PORT": "-1"}


def test_one_worker_is_the_sfu_as_it_is() -> None:
    settings = resolve({}, HOME)
    assert workers.spread(settings) == workers.Spread(settings, [("sfu", settings)])


def test_each_worker_is_a_node_that_control_and_recorder_know() -> None:
    spread = workers.spread(resolve({"workers": "3", "sfu_udp_port": "9000"}, HOME))
    assert [name for name, _ in spread.each] == ["sfu-1", "sfu-2", "sfu-3"]
    own = [one for _, one in spread.each]
    assert [one["sfu_node"] for one in own] == ["sfu-1-1", "sfu-1-2", "sfu-1-3"]
    assert {one["sfu_udp_port"] for one in own} == {9000}
    assert [one["sfu_tcp_port"] for one in own] == [0, 9001, 9002]
    assert [one["sfu_http_port"] for one in own] == [8084, 8184, 8284]
    assert {one["workers"] for one in own} == {1}
    nodes = control_config(spread.common).nodes
    assert [(node.node, node.http_url) for node in nodes] == [
        ("sfu-1-1", "http://127.0.0.1:8084"),
        ("sfu-1-2", "http://127.0.0.1:8184"),
        ("sfu-1-3", "http://127.0.0.1:8284"),
    ]
    recorder = recorder_config(spread.common)
    assert recorder.sink_socket == Path("/run/p/sinks-1.sock")
    assert recorder.other_sink_sockets == (Path("/run/p/sinks-2.sock"), Path("/run/p/sinks-3.sock"))


def test_workers_may_have_a_udp_port_each() -> None:
    spread = workers.spread(resolve({"workers": "3", "sfu_udp_port": "9000", "share_udp_port": "false"}, HOME))
    assert [one["sfu_udp_port"] for _, one in spread.each] == [9000, 9001, 9002]
    assert {one["sfu_tcp_port"] for _, one in spread.each} == {0}


def test_with_etcd_workers_register_and_are_not_listed() -> None:
    spread = workers.spread(resolve({"workers": "2", "etcd_urls": ["http://etcd:2379"]}, HOME))
    assert control_config(spread.common).nodes == ()


def test_parley_sfu_runs_workers_and_stops_them(tmp_path: Path) -> None:
    ports = ("SFU_UDP", "SFU_SIGNALING", "SFU_HTTP", "INFERENCE")
    environment = os.environ | {f"PARLEY_{name}_PORT": "0" for name in ports}
    environment |= {
        "PARLEY_NODE_SECRET": "s",
        "PARLEY_DATA_DIR": str(tmp_path / "d"),
        "PARLEY_RUNTIME_DIR": str(tmp_path / "r"),
        "PARLEY_SFU_ADDRESSES": "127.0.0.1",
    }
    command = [sys.executable, "-m", "parley", "sfu", "--workers", "2"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        limit = threading.Timer(60, process.kill)
        limit.start()
        assert process.stderr is not None
        started = set()
        for line in process.stderr:
            if "engine:" in line:
                started.add(line.split()[0])
            if started == {"sfu-1", "sfu-2"}:
                break
        process.send_signal(signal.SIGTERM)
        process.stderr.read()
        assert process.wait(30) == 0
        limit.cancel()
    assert started == {"sfu-1", "sfu-2"}
    assert not list((tmp_path / "r").glob("*.sock"))
