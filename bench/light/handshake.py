"""ICE and DTLS of one light peer on its own socket, until it has SRTP keys and can be passed to C."""

import asyncio
import socket
import time

from sfu.formats import stun
from sfu.machines.dtls.association import Dtls, DtlsKeys, DtlsState
from sfu.machines.dtls.certificate import DtlsCertificate
from sfu.machines.ice.client import IceClient
from sfu.machines.ice.lite import Address, Credentials, generate_credentials
from sfu.machines.negotiation.agreement import DtlsRole, LocalTransport, RemoteTransport

_PRIORITY = (126 << 24) | (65535 << 8) | 255
_TIE_BREAKER = 2**64 - 1
"""The highest value: a full agent that also claims to be controlling yields to us (RFC 8445, section 7.3.1.1)."""


class HandshakeFailed(ConnectionError):
    """ICE or DTLS failed."""


class Handshake:
    """The controlling side of a handshake with a lite or full ICE agent.

    `local` is its part of a session description; `connect` returns the SRTP keys.
    """

    def __init__(self, certificate: DtlsCertificate) -> None:
        self._credentials = generate_credentials()
        self._dtls = Dtls(certificate)
        self.local = LocalTransport(self._credentials.ufrag, self._credentials.pwd, certificate.fingerprints)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self._role = DtlsRole.CLIENT
        self._ice: IceClient | None = None
        self._remote: RemoteTransport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._done: asyncio.Future[DtlsKeys] | None = None

    async def connect(self, remote: RemoteTransport, address: Address, role: DtlsRole = DtlsRole.CLIENT) -> DtlsKeys:
        """Connect to the server at `address` in the DTLS role `role`; raises HandshakeFailed."""
        self._role = role
        loop = asyncio.get_running_loop()
        self.socket.connect(address)
        self._remote = remote
        credentials = Credentials(remote.ufrag, remote.pwd)
        now = time.monotonic_ns()
        self._ice = IceClient(self._credentials, credentials, [address], _TIE_BREAKER, now)
        self._done = loop.create_future()
        loop.add_reader(self.socket, self._readable, address)
        try:
            self._drive()
            return await self._done
        finally:
            loop.remove_reader(self.socket)
            if self._timer is not None:
                self._timer.cancel()

    def check(self) -> tuple[bytes, bytes]:
        """Return a consent check without MESSAGE-INTEGRITY and FINGERPRINT, and the integrity key."""
        assert self._remote is not None
        message = stun.Message(
            stun.MessageClass.REQUEST,
            bytes(12),
            username=f"{self._remote.ufrag}:{self._credentials.ufrag}",
            priority=_PRIORITY,
            use_candidate=True,
            controlling=_TIE_BREAKER,
        )
        key = self._remote.pwd.encode()
        return stun.serialize(message, key)[:-32], key

    @property
    def answer_key(self) -> bytes:
        """The integrity key of responses to a full agent's checks."""
        return self._credentials.pwd.encode()

    def close(self) -> None:
        self.socket.close()

    def _readable(self, address: Address) -> None:
        assert self._ice is not None
        while True:
            try:
                data = self.socket.recv(2048)
            except BlockingIOError:
                break
            except ConnectionRefusedError:
                continue
            now = time.monotonic_ns()
            if data[0] < 4:
                self._ice.receive(data, address, now)
            elif 20 <= data[0] < 64:
                self._dtls.receive(data, now)
        self._drive()

    def _drive(self) -> None:
        assert self._ice is not None
        assert self._done is not None
        assert self._remote is not None
        now = time.monotonic_ns()
        if self._ice.selected is not None and self._dtls.state is DtlsState.NEW:
            self._dtls.start(self._role, self._remote.fingerprints, now)
        self._ice.handle_timer(now)
        self._dtls.handle_timer(now)
        for check in self._ice.datagrams_to_send(now):
            self.socket.send(check.data)
        for flight in self._dtls.datagrams_to_send():
            self.socket.send(flight)
        if self._done.done():
            return
        if self._dtls.keys is not None and self._ice.nominated:
            self._done.set_result(self._dtls.keys)
        elif self._ice.failed or self._dtls.state is DtlsState.CLOSED:
            self._done.set_exception(HandshakeFailed(self._dtls.close_reason or "ICE failed"))
        else:
            due = min(at for at in (self._ice.timer(), self._dtls.timer()) if at is not None)
            if self._timer is not None:
                self._timer.cancel()
            self._timer = asyncio.get_running_loop().call_later(max(0.001, (due - now) / 1e9), self._drive)
