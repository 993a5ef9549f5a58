"""Bar: a Firefox sees moving VP8 within 2 s from a Chromium that publishes H264, then AV1; it decodes neither."""

from parley_client import Api
from tests.e2e.conftest import Deployment
from tests.e2e.test_mixed_codecs import seconds_until_moving
from tests.network.behind_link import once
from tests.support.call import become_admin
from tests.support.namespaces import network
from tests.support.server import running_server

SECONDS = 2


@once
async def test_a_backup_moves_within_two_seconds() -> None:
    with network(2) as net, running_server(net.server_prefix) as server:
        async with Api(f"https://{net.server_address}:{server.https_port}", verify_tls=False) as admin:
            await become_admin(admin, server.setup_token)
            beside_h264, beside_av1 = await seconds_until_moving(Deployment(server, net, admin))
    print(f"moving VP8 after {beside_h264:.2f} s beside H264, after {beside_av1:.2f} s beside AV1")
    assert max(beside_h264, beside_av1) <= SECONDS
