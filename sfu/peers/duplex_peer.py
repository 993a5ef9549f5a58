"""A peer for both publishing and receiving, for clients with one peer connection.

The client makes every offer. It publishes on some m-sections; others' tracks are shown on the rest.
"""

from collections.abc import Mapping

from sfu.api.join_token import Grants
from sfu.formats import rtcp
from sfu.formats.sdp import parse
from sfu.machines.negotiation.publish import only_receives
from sfu.peers.context import Context
from sfu.peers.publish.negotiated_publish_peer import Declared, NegotiatedPublishPeer, PublishChange
from sfu.peers.subscribe.answered_subscription import AnsweredSubscription, NameTrack, ReceivingSection
from sfu.peers.subscribe.subscribe_peer import SubscribePeer


class DuplexPeer(NegotiatedPublishPeer):
    """A publish peer with a subscription; `subscription` is None while the participant may not receive."""

    subscription: AnsweredSubscription | None = None

    def receive_too(self, context: Context, name: NameTrack, now: int) -> AnsweredSubscription:
        """Send the participant the tracks that it receives, from the next offer on."""
        subscribe_peer = SubscribePeer(context, now, self.peer)
        subscribe_peer.data = self.data
        if self.peer.connected:
            subscribe_peer.connected(now)
        self.subscription = AnsweredSubscription(context, now, subscribe_peer, name)
        return self.subscription

    def receive_no_more(self) -> None:
        """Stop sending tracks to the participant; its publishing continues."""
        if self.subscription is not None:
            self.subscription.subscribe_peer.stop()
            self.subscription = None

    @property
    def subscribe_peer(self) -> SubscribePeer | None:
        """The sending side, if any."""
        return self.subscription.subscribe_peer if self.subscription is not None else None

    def offer(
        self, sdp: str, declared: Mapping[str, Declared], grants: Grants, now: int, *, red: bool = True
    ) -> PublishChange:
        """Take a client's offer, for both directions; raises ValueError if it cannot be answered."""
        shows = self.subscription.place(_receiving(sdp), now) if self.subscription is not None else {}
        change = self._offer(sdp, declared, grants, shows, now, red=red)
        if self.subscription is not None:
            self.subscription.agree(change.answer, now)
        return change

    def connected(self, now: int) -> None:
        """Start both directions, since DTLS is done."""
        super().connected(now)
        if self.subscribe_peer is not None:
            self.subscribe_peer.connected(now)

    def _control(self, packet: rtcp.Packet, arrival: int, now: int) -> None:
        super()._control(packet, arrival, now)
        if self.subscribe_peer is not None:
            self.subscribe_peer.control(packet, arrival, now)

    def timer(self) -> int | None:
        """Return when `handle_timer` has work next."""
        sending = self.subscribe_peer.timer() if self.subscribe_peer is not None else None
        return min((at for at in (super().timer(), sending) if at is not None), default=None)

    def handle_timer(self, now: int) -> None:
        """Do what is due in both directions."""
        super().handle_timer(now)
        if self.subscribe_peer is not None:
            self.subscribe_peer.handle_timer(now)


def _receiving(sdp: str) -> dict[str, ReceivingSection]:
    """Return, by mid, an offer's sections on which its client only receives."""
    description = parse(sdp)
    return {
        section.mid: ReceivingSection(section.kind, section.parameters)
        for section in description.media
        if section.mid and (section.port or section.bundle_only) and only_receives(description, section)
    }
