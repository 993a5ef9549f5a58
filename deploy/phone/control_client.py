"""Client of control's internal listener."""

from foundation.control_requests import ControlRequests
from foundation.part_tls import PartTls
from sfu.api.phone import Entered, EnterMeeting, PhoneOrders, PhoneReport


class ControlClient(ControlRequests):
    """The requests of phone to control. Each raises ControlUnavailable."""

    def __init__(self, url: str, node_secret: str, tls: PartTls | None = None) -> None:
        super().__init__("phone", url, node_secret, tls)

    async def enter(self, wish: EnterMeeting) -> Entered:
        return await self.ask("enter", wish, Entered)

    async def report(self, report: PhoneReport) -> PhoneOrders:
        return await self.ask("report", report, PhoneOrders)
