"""`parley support-bundle`: one file with the information that support needs, without secrets.

It contains settings, findings of `parley doctor`, readiness, nodes, metrics, and stacks of each running part. Values of
secret settings, tokens and passwords in addresses are removed. It has no names of people or meetings.
"""

import argparse
import asyncio
import io
import platform
import sys
import tarfile
import time
from importlib.metadata import version
from pathlib import Path

import aiohttp

from foundation.failures import describe
from foundation.logging_setup import Redactor, secrets_of
from foundation.part_tls import over_tls, part_session
from foundation.settings import Settings, with_secrets
from parley import running_ports
from parley.doctor import look
from parley.inspect_command import ask
from parley.inspection_socket import path_of
from parley.operator_flags import PARTS
from parley.part_configs import control_url
from parley.part_encryption import part_tls

_ANSWER = aiohttp.ClientTimeout(total=10)


def main(settings: Settings, chosen: argparse.Namespace) -> int:
    """Write the file; return the exit code."""
    settings = running_ports.follow(with_secrets(settings))
    out = chosen.out or Path(f"parley-support-{time.strftime('%Y%m%d-%H%M%S')}.tar.gz")
    texts = asyncio.run(gather(settings))
    try:
        texts |= {f"logs/{path.name}": path.read_text(errors="replace") for path in chosen.log}
        write(out, texts, Redactor(secrets_of(settings)))
    except OSError as error:
        print(f"parley: {describe(error)}", file=sys.stderr)
        return 1
    print(f"{out}: {', '.join(sorted(texts))}")
    return 0


async def gather(settings: Settings) -> dict[str, str]:
    """Return texts by file name. The file of a part that does not answer says so."""
    about = f"parley {version('parley-sfu')}\nPython {platform.python_version()}\n{platform.platform()}\n"
    rows = "".join(f"{name} = {value}   ({source})\n" for name, value, source in settings.rows())
    findings = "".join(f"{one.weight:<4} {one.what}: {one.said}\n" for one in await look(settings))
    texts = {"about.txt": about, "settings.txt": rows, "doctor.txt": findings}
    http = f"http://127.0.0.1:{settings['http_port']}"
    tls = part_tls(settings)
    to_parts = over_tls("http", tls)
    pages = {
        "ready.json": f"{http}/health/ready",
        "nodes.json": f"{control_url(settings)}/internal/v1/nodes",
        "metrics/control.txt": f"{http}/metrics",
        "metrics/sfu.txt": f"{to_parts}://127.0.0.1:{settings['sfu_http_port']}/metrics",
        "metrics/recorder.txt": f"http://127.0.0.1:{settings['recorder_port']}/metrics",
        "metrics/inference.txt": f"{to_parts}://127.0.0.1:{settings['inference_port']}/metrics",
    }
    async with part_session(settings["node_secret"], tls, _ANSWER) as session:
        for name, url in pages.items():
            texts[name] = await _page(session, url)
    for part in PARTS:
        try:
            texts[f"stacks/{part}.txt"] = await ask(path_of(settings, part), "stacks", 0)
        except (aiohttp.ClientError, OSError) as error:
            texts[f"stacks/{part}.txt"] = f"does not answer: {describe(error)}\n"
    return texts


async def _page(session: aiohttp.ClientSession, url: str) -> str:
    try:
        async with session.get(url) as answer:
            return await answer.text()
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        return f"does not answer: {describe(error)}\n"


def write(out: Path, texts: dict[str, str], redact: Redactor) -> None:
    """Write texts to a compressed archive that only the user can read. Raises OSError."""
    out.touch(mode=0o600)
    with tarfile.open(out, "w:gz") as archive:
        for name, text in sorted(texts.items()):
            data = redact(text).encode()
            entry = tarfile.TarInfo(f"parley-support/{name}")
            entry.size, entry.mtime, entry.mode = len(data), int(time.time()), 0o600
            archive.addfile(entry, io.BytesIO(data))
