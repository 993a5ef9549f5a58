"""The client's side of one peer, sans-IO: ICE (controlling), DTLS, SRTP. Times are ns of CLOCK_MONOTONIC."""

import secrets
from typing import NamedTuple

from pylibsrtp import Error as SrtpError
from pylibsrtp import Policy

from parley_client.srtp_session import SrtpSession
from sfu.formats.data_message import MAX_PASSED_ON_BYTES
from sfu.formats.rtp import is_rtcp
from sfu.machines.dtls.association import Dtls, DtlsKeys, DtlsState
from sfu.machines.dtls.certificate import DtlsCertificate
from sfu.machines.ice.client import IceClient
from sfu.machines.ice.lite import Address, Credentials, generate_credentials
from sfu.machines.negotiation.agreement import DtlsRole, LocalTransport, RemoteTransport
from sfu.peers.data_channels import DataChannels, DataItem


class Received(NamedTuple):
    """An authenticated packet: unprotected RTP, or an unprotected RTCP compound packet."""

    data: bytes
    rtcp: bool


class ClientPeer:
    """A peer: pass it received datagrams and send those that it returns; RTP can be sent once it is `connected`."""

    def __init__(self, certificate: DtlsCertificate) -> None:
        self._credentials = generate_credentials()
        self._certificate = certificate
        self._dtls = Dtls(certificate)
        self._ice: IceClient | None = None
        self._remote: RemoteTransport | None = None
        self._inbound: SrtpSession | None = None
        self._outbound: SrtpSession | None = None
        self.data: DataChannels | None = None
        """The data channels, if they were negotiated."""
        self.messages: list[DataItem] = []
        """Messages of data channels that have not been read yet."""
        self.rejected = 0
        """The number of datagrams that failed authentication."""

    @property
    def local(self) -> LocalTransport:
        """This side's ICE and DTLS parameters for descriptions."""
        return LocalTransport(self._credentials.ufrag, self._credentials.pwd, self._certificate.fingerprints)

    @property
    def connected(self) -> bool:
        return self._outbound is not None and self._destination is not None

    @property
    def failed(self) -> bool:
        return bool(self._ice and self._ice.failed) or self._dtls.state is DtlsState.CLOSED

    @property
    def _destination(self) -> Address | None:
        return self._ice.selected if self._ice else None

    def connect(self, remote: RemoteTransport, candidates: list[Address], now: int) -> None:
        """Start connectivity checks to the server's candidates, once its description is known."""
        self._ice = IceClient(
            self._credentials, Credentials(remote.ufrag, remote.pwd), candidates, secrets.randbits(64), now
        )
        self._remote = remote

    def open_data(self) -> None:
        """Enable data channels, which the server has offered."""
        self.data = DataChannels(longest=MAX_PASSED_ON_BYTES)
        self._dtls.keeps_data = True

    def receive(self, data: bytes, source: Address, now: int) -> Received | None:
        """Process a datagram; return the media packet that it contained, if any."""
        if not data or self._ice is None:
            return None
        if data[0] < 4:
            self._ice.receive(data, source, now)
            self._start_dtls(now)
        elif 20 <= data[0] < 64:
            self._dtls.receive(data, now)
            if self._dtls.keys and self._inbound is None:
                self._install(self._dtls.keys)
                if self.data:
                    self.data.agree(True, now)
                    self.data.connect(now)
            if self.data:
                self.messages += self.data.receive(self._dtls.application_data(), now)
        elif 128 <= data[0] < 192 and self._inbound:
            return self._unprotect(self._inbound, data)
        return None

    def datagrams_to_send(self, now: int) -> list[tuple[bytes, Address]]:
        """Return the checks and handshake flights that are due, with their destinations."""
        if self._ice is None:
            return []
        if self.data:
            self._dtls.send(self.data.records_to_send(), now)
        due = [(check.data, check.destination) for check in self._ice.datagrams_to_send(now)]
        if self._destination:
            due += [(flight, self._destination) for flight in self._dtls.datagrams_to_send()]
        return due

    def timer(self) -> int | None:
        """Return the time at which to call `handle_timer` next."""
        timers = [self._ice.timer() if self._ice else None, self._dtls.timer()]
        timers.append(self.data.timer() if self.data else None)
        return min((t for t in timers if t is not None), default=None)

    def handle_timer(self, now: int) -> None:
        """Advance the ICE and DTLS state machines."""
        if self._ice:
            self._ice.handle_timer(now)
        self._dtls.handle_timer(now)
        if self.data:
            self.data.handle_timer(now)

    def protect(self, packet: bytes) -> tuple[bytes, Address] | None:
        """Return an RTP or RTCP packet as the datagram to send, or None before the peer is connected."""
        if self._outbound is None or self._destination is None:
            return None
        protect = self._outbound.protect_rtcp if is_rtcp(packet) else self._outbound.protect
        return protect(packet), self._destination

    def close(self, now: int) -> None:
        """Send close_notify with the next `datagrams_to_send`."""
        self._dtls.close(now)

    def _start_dtls(self, now: int) -> None:
        if self._destination and self._remote and self._dtls.state is DtlsState.NEW:
            self._dtls.start(DtlsRole.CLIENT, self._remote.fingerprints, now)

    def _install(self, keys: DtlsKeys) -> None:
        profile = {1: Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 7: Policy.SRTP_PROFILE_AEAD_AES_128_GCM}.get(
            keys.profile, Policy.SRTP_PROFILE_AEAD_AES_256_GCM
        )
        inbound = Policy(key=keys.receive, ssrc_type=Policy.SSRC_ANY_INBOUND, srtp_profile=profile)
        outbound = Policy(key=keys.send, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile)
        inbound.window_size = outbound.window_size = 1024
        outbound.allow_repeat_tx = True
        self._inbound, self._outbound = SrtpSession(inbound), SrtpSession(outbound)

    def _unprotect(self, session: SrtpSession, data: bytes) -> Received | None:
        rtcp = is_rtcp(data)
        try:
            return Received(session.unprotect_rtcp(data) if rtcp else session.unprotect(data), rtcp)
        except SrtpError:
            self.rejected += 1
            return None
