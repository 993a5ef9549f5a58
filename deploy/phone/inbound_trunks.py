"""The trunks through which applications accept calls: which one a call belongs to, and who may use it.

The rules are those of LiveKit's server: a trunk is for its numbers, else for all; it may name callers and addresses.
"""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address

from foundation.digest import Account, Gatekeeper
from sfu.api.phone import InboundTrunk, comparable, network_of


class InboundTrunks:
    """All trunks, as control last told."""

    def __init__(self) -> None:
        self._trunks: list[InboundTrunk] = []
        self._networks: dict[str, list[IPv4Network | IPv6Network]] = {}
        self._gatekeepers: dict[str, tuple[Account, Gatekeeper]] = {}

    def update(self, trunks: Sequence[InboundTrunk]) -> None:
        """Use these trunks from now on. A gatekeeper stays while its account does, so that its nonces stay valid."""
        if trunks == self._trunks:
            return
        self._trunks = list(trunks)
        self._networks = {one.id: [network_of(address) for address in one.addresses] for one in trunks}
        kept = {}
        for one in trunks:
            account = Account(one.user, one.password)
            known = self._gatekeepers.get(one.id)
            if one.user:
                kept[one.id] = known if known is not None and known[0] == account else (account, Gatekeeper(account))
        self._gatekeepers = kept

    def admits(self, host: str) -> bool:
        """Return whether an address may send messages at all."""
        return any(self._is_from(one, host) for one in self._trunks)

    def match(self, host: str, called: str, caller: str) -> InboundTrunk | None:
        """Return the trunk of a call."""
        fitting = [one for one in self._trunks if self._is_from(one, host) and _has(one.callers, caller, True)]
        for one in fitting:
            if _has(one.numbers, called, False):
                return one
        return next((one for one in fitting if not one.numbers), None)

    def gate(self, trunk: InboundTrunk) -> Gatekeeper | bool:
        """Return who checks the callers of a trunk; True if nobody needs to."""
        known = self._gatekeepers.get(trunk.id)
        return known[1] if known is not None else True

    def _is_from(self, trunk: InboundTrunk, host: str) -> bool:
        networks = self._networks[trunk.id]
        try:
            return not networks or any(ip_address(host) in network for network in networks)
        except ValueError:
            return False


def _has(numbers: Sequence[str], number: str, any_if_empty: bool) -> bool:
    if not numbers:
        return any_if_empty
    return comparable(number) in {comparable(one) for one in numbers}
