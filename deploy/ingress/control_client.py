"""Client of control's internal listener."""

from foundation.control_requests import ControlRequests
from foundation.part_tls import PartTls
from sfu.api.ingress import (
    CheckedKey,
    CloseStream,
    IngressOrders,
    IngressReport,
    KeyCheck,
    OpenedStream,
    OpenStream,
)


class ControlClient(ControlRequests):
    """The requests of ingress to control. Each raises ControlUnavailable."""

    def __init__(self, url: str, node_secret: str, tls: PartTls | None = None) -> None:
        super().__init__("ingress", url, node_secret, tls)

    async def check(self, wish: KeyCheck) -> CheckedKey:
        return await self.ask("check", wish, CheckedKey)

    async def open(self, wish: OpenStream) -> OpenedStream:
        return await self.ask("open", wish, OpenedStream)

    async def end(self, wish: CloseStream) -> None:
        await self.ask("close", wish, dict)

    async def report(self, report: IngressReport) -> IngressOrders:
        return await self.ask("report", report, IngressOrders)
