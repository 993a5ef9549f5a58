"""A worker gets only the environment and files passed to it."""

import pytest

from inference.workers.process import WorkerProcess


async def test_a_child_gets_no_secret_and_no_descriptor(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLEY_NODE_SECRET", "must not be inherited")
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "probe_child.py").write_text(
        "import os, socket, sys\n"
        "from inference import messages\n"
        "channel = socket.socket(fileno=int(sys.argv[1]))\n"
        "held = sorted(os.environ) + os.listdir('/proc/self/fd') + [sys.stdin.read()]\n"
        "channel.sendall(messages.encode(messages.Ready(confined=tuple(held), model=sys.argv[2])))\n"
        "channel.recv(1)\n"
    )
    child = await WorkerProcess.start("probe_child", "argument")
    message = await child.receive()
    assert await child.stop() == 0
    assert message is not None
    assert message.model == "argument"
    names = [item for item in message.confined if item and not item.isdigit()]
    assert set(names) <= {"PYTHONPATH", "OMP_NUM_THREADS", "LC_CTYPE", "ORT_DISABLE_TELEMETRY", "GRPC_VERBOSITY"}
    assert len([item for item in message.confined if item.isdigit()]) <= 5  # 0, 1, 2, the socket, the listing itself
