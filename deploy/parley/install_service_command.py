"""`parley install-service`: a systemd unit that runs `parley up` with a separate account, folders and limits."""

import argparse
import shlex
import shutil
import stat
import subprocess
import sys
from pathlib import Path

from foundation.failures import describe
from foundation.settings import Settings

_UNIT = """\
# Written by `parley install-service`. To change it: systemctl edit parley
[Unit]
Description=Parley, video meetings
Documentation=man:systemd.exec(5)
After=network-online.target
Wants=network-online.target

[Service]
Type=exec
ExecStart={program} up --config {configuration}
# Logs go to the journal, one JSON object a line: journalctl -u parley -o cat
Environment=PARLEY_LOG_FORMAT=json PARLEY_DATA_DIR=/var/lib/parley PARLEY_RUNTIME_DIR=/run/parley
User=parley
Group=parley
DynamicUser=yes
StateDirectory=parley
StateDirectoryMode=0700
RuntimeDirectory=parley
RuntimeDirectoryMode=0700
Restart=always
RestartSec=2
TimeoutStopSec=40
KillMode=mixed
LimitNOFILE=65536
TasksMax=4096
AmbientCapabilities={capabilities}
CapabilityBoundingSet={capabilities}
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome={home}
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native

[Install]
WantedBy=multi-user.target
"""
_EXAMPLE = """\
# Settings of the service; `parley config` lists all. Restart it after changes: systemctl restart parley
# public_hosts = ["meet.example.org"]
# https_port = 443
"""
_ADVICE = (
    "Install Parley outside of home folders: PIPX_HOME=/opt/pipx PIPX_BIN_DIR=/usr/local/bin pipx install parley-sfu"
)


def _closed_to_others(path: Path) -> Path | None:
    """Return the first folder on the way to a file that only its owner can enter, or None."""
    return next((one for one in reversed(path.parents) if not one.stat().st_mode & stat.S_IXOTH), None)


def unit(settings: Settings, program: Path, configuration: Path) -> str:
    """Return the text of the unit. It may bind low ports only if a setting uses one."""
    low = any(0 < settings[name] < 1024 for name in ("http_port", "https_port", "sfu_udp_port", "sfu_tcp_port"))
    return _UNIT.format(
        program=shlex.quote(str(program)),
        configuration=shlex.quote(str(configuration)),
        capabilities="CAP_NET_BIND_SERVICE" if low else "",
        home="read-only" if any(str(program).startswith(place) for place in ("/home", "/root")) else "yes",
    )


def main(settings: Settings, chosen: argparse.Namespace) -> int:
    """Write the unit and example settings, and reload systemd; return the exit code."""
    program = Path(shutil.which(sys.argv[0]) or sys.argv[0]).resolve()
    text = unit(settings, program, chosen.configuration)
    if chosen.print:
        print(text, end="")
        return 0
    for needed in (program, Path(sys.executable), Path(sys.executable).resolve(), Path(__file__).resolve()):
        if closed := _closed_to_others(needed):
            print(
                f"parley: the service's account cannot read {needed}: {closed} is private. {_ADVICE}", file=sys.stderr
            )
            return 1
    try:
        if not chosen.configuration.exists():
            chosen.configuration.parent.mkdir(parents=True, exist_ok=True)
            chosen.configuration.write_text(_EXAMPLE)
        chosen.unit.write_text(text)
    except OSError as error:
        print(f"parley: {describe(error)}", file=sys.stderr)
        return 1
    if shutil.which("systemctl") is not None:
        subprocess.run(["systemctl", "daemon-reload"], check=False)
    print(f"wrote {chosen.unit}; settings are in {chosen.configuration}\nstart it: systemctl enable --now parley")
    return 0
