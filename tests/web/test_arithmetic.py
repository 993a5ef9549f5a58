"""Pure functions of SDK and page: tables of inputs and outputs, evaluated in Chromium."""

import json
from typing import Any

import pytest
from playwright.async_api import Page

import web
from tests.web.scripted import ScriptedServer

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(autouse=True)
def serve_sources(server: ScriptedServer) -> None:
    server.root = web.ROOT  # whose modules can be imported one by one


async def call(page: Page, module: str, body: str, argument: Any = None) -> Any:
    return await page.evaluate(f"async (argument) => {{ const module = await import('{module}'); {body} }}", argument)


async def test_the_first_attempt_is_immediate_and_later_ones_back_off(page: Page) -> None:
    delays = await call(
        page,
        "/sdk/backoff.js",
        "return [0, 1, 2, 3, 9].map((n) => [module.delayBefore(n, () => 0), module.delayBefore(n, () => 0.999999)]);",
    )
    assert delays == [[0, 100], [250, 500], [500, 1000], [1000, 2000], [5000, 10000]]


async def test_wishes_are_sent_once_and_only_when_they_differ(page: Page) -> None:
    body = """
      const wishes = new module.Wishes();
      const sent = [];
      wishes.add('v', 'video'); wishes.add('a', 'audio');
      sent.push(wishes.changes());
      wishes.set('v', {width: 640, height: 360}); sent.push(wishes.changes());
      wishes.set('v', {width: 650, height: 365}); sent.push(wishes.changes());
      wishes.setHidden(true); sent.push(wishes.changes());
      wishes.setHidden(false); sent.push(wishes.changes());
      wishes.restart(); sent.push(wishes.changes());
      wishes.set('gone', {on: false}); wishes.remove('v'); sent.push(wishes.changes());
      return sent;"""
    shown = {"track": "v", "on": True, "width": 640, "height": 360}
    near = {"track": "v", "on": True, "width": 650, "height": 365}
    assert await call(page, "/sdk/wishes.js", body) == [
        [],
        [shown],
        [],
        [near | {"on": False}],
        [near],
        [near],
        [],
    ]


async def test_media_follows_its_mid_whatever_the_order_of_messages(page: Page) -> None:
    body = """
      const slots = new module.Slots();
      const log = [];
      const note = (changed) => log.push(Object.fromEntries(changed));
      note(slots.assign([{mid: '0', track: 'a'}, {mid: '1', track: 'b'}, {mid: '2'}]));
      note(slots.attach('0', 'media-0'));
      note(slots.attach('1', 'media-1'));
      note(slots.assign([{mid: '0', track: 'b'}, {mid: '1', track: null}]));
      note(slots.assign([{mid: '0', track: 'b'}, {mid: '1', track: 'c'}]));
      note(slots.detachAll());
      note(slots.attach('1', 'fresh-1'));
      return [log, slots.mediaOf('a'), slots.mediaOf('c')];"""
    assert await call(page, "/sdk/slots.js", body) == [
        [
            {},
            {"a": "media-0"},
            {"b": "media-1"},
            {"a": None, "b": "media-0"},
            {"c": "media-1"},
            {"b": None, "c": None},
            {"c": "fresh-1"},
        ],
        None,
        "fresh-1",
    ]


async def test_a_camera_is_simulcast_lowest_first_and_a_screen_is_not(page: Page) -> None:
    body = "return ['camera', 'screen', 'microphone'].map((s) => module.encodingsFor(s).map((e) => e.rid ?? null));"
    assert await call(page, "/sdk/encodings.js", body) == [["q", "h", "f"], ["q", "h"], [None]]
    options = "{simulcast: false}, {scalabilityMode: 'L3T3'}, {codec: 'AV1'}"
    body = f"return [{options}].map((o) => module.encodingsFor('camera', o).map((e) => e.scalabilityMode ?? null));"
    # Several encodings of a layered codec are told apart from one with layers by saying that each has none.
    assert await call(page, "/sdk/encodings.js", body) == [[None], ["L3T3"], ["L1T1"] * 3]
    body = (
        "return ['VP8', 'VP9', 'H264'].map((codec) => module.encodingsFor('screen', {codec}).map((e) => "
        "e.scalabilityMode ?? null));"
    )
    assert await call(page, "/sdk/encodings.js", body) == [["L1T1", "L1T3"], ["L1T1", "L1T3"], [None, None]]


async def test_a_screen_has_a_small_layer_beside_the_full_one(page: Page) -> None:
    """With a narrow uplink, and if it is tiny, it has one: the lowest, since Chromium gives up the highest."""
    options = "{}, {width: 1920, height: 1080}, {isNarrow: true}, {width: 300, height: 200}, {simulcast: false}"
    body = (
        f"return [{options}].map((o) => module.encodingsFor('screen', o).filter((e) => e.active !== false)"
        ".map((e) => [e.rid ?? null, e.scaleResolutionDownBy ?? null, e.maxBitrate, e.maxFramerate]));"
    )
    both = [["q", 2, 250_000, 5], ["h", 1, 2_500_000, 15]]
    narrow, tiny = [["q", 1.5, 2_500_000, 15]], [["q", 1, 2_500_000, 15]]
    single = [[None, None, 2_500_000, 15]]
    assert await call(page, "/sdk/encodings.js", body) == [both, both, narrow, tiny, single]
    body = f"return [{options}].map((o) => module.encodingsFor('screen', o).map((e) => e.priority ?? null));"
    assert await call(page, "/sdk/encodings.js", body) == [["high", None]] * 4 + [["high"]]


async def test_a_small_camera_has_as_many_layers_as_are_sent_and_one_of_full_size(page: Page) -> None:
    """Chromium gives up the highest encodings where the picture is too small for their number (libwebrtc)."""
    sizes = "[1920, 1080], [1280, 720], [960, 540], [640, 480], [640, 360], [360, 640], [480, 270], [320, 240], [9, 9]"
    body = (
        f"return [{sizes}].map(([width, height]) => module.encodingsFor('camera', {{width, height}})"
        ".filter((e) => e.active).map((e) => e.scaleResolutionDownBy));"
    )
    assert await call(page, "/sdk/encodings.js", body) == [[4, 2, 1]] * 3 + [[2, 1]] * 4 + [[1]] * 2
    body = "return module.encodingsFor('camera', {width: 640, height: 360}).map((e) => [e.rid, e.maxBitrate]);"
    assert (await call(page, "/sdk/encodings.js", body))[:2] == [["q", 150_000], ["h", 500_000]]
    body = "return module.encodingsFor('camera', {width: 1280, height: 720}).map((e) => e.maxBitrate);"
    assert await call(page, "/sdk/encodings.js", body) == [150_000, 400_000, 1_700_000]


async def test_a_screen_follows_the_uplink_also_if_it_was_narrow_before(page: Page) -> None:
    body = """
      let encodings = ['q', 'h'].map((rid) => ({rid}));
      const sender = {
        track: {getSettings: () => ({width: 1920, height: 1080})},
        getParameters: () => ({encodings}),
        setParameters: async (parameters) => { encodings = parameters.encodings; },
      };
      const layers = new module.SendingLayers(sender, 'screen', {});
      const log = [];
      for (const isNarrow of [true, false, true]) {
        await layers.fit(isNarrow);
        const sent = encodings.map((e) => (e.active ? [e.scaleResolutionDownBy, e.maxFramerate] : null));
        log.push(sent, layers.wantedRate);
      }
      await layers.want(['h']);
      log.push(encodings.map((e) => e.active));
      return log;"""
    narrow = [[[1.5, 15], None], 2_500_000]
    both = [[[2, 5], [1, 15]], 2_750_000]
    assert await call(page, "/sdk/sending-layers.js", body) == [*narrow, *both, *narrow, [True, False]]


async def test_layers_of_h264_keep_their_sizes(page: Page) -> None:
    options = "{codec: 'H264'}, {codec: 'VP8'}, {codec: 'H264', simulcast: false}"
    body = f"return [{options}].map((o) => module.degradationFor('camera', o));"
    assert await call(page, "/sdk/encodings.js", body) == ["maintain-resolution", "", ""]
    body = f"return [{options}].map((o) => module.degradationFor('screen', o));"
    assert await call(page, "/sdk/encodings.js", body) == ["maintain-resolution", "", ""]


async def test_the_preferred_codec_comes_first_and_none_is_lost(page: Page) -> None:
    body = """
      const codecs = ['video/H264', 'video/VP9', 'video/rtx', 'video/VP8'].map((mimeType) => ({mimeType}));
      return module.preferCodec(codecs, 'video/VP8').map((codec) => codec.mimeType);"""
    assert await call(page, "/sdk/encodings.js", body) == ["video/VP8", "video/H264", "video/VP9", "video/rtx"]


async def test_a_restarted_peer_is_told_by_its_ufrag(page: Page) -> None:
    sdp = "v=0\r\na=ice-lite\r\nm=audio 9 X 0\r\na=ice-ufrag:Ab+/\r\na=ice-pwd:x\r\nm=video 9 X 0\r\na=ice-ufrag:zz\r\n"
    assert await call(page, "/sdk/subscribe-peer.js", "return module.ufragOf(argument);", sdp) == "Ab+/"
    assert await call(page, "/sdk/subscribe-peer.js", "return module.ufragOf(argument);", "v=0\r\n") == ""


@pytest.mark.parametrize(
    ("count", "width", "height", "columns"),
    [
        (1, 1256, 640, 1),
        (2, 1256, 640, 2),
        (3, 1256, 640, 2),
        (4, 1256, 640, 2),
        (9, 1256, 640, 3),
        (2, 374, 700, 1),
        (4, 374, 700, 2),
    ],
)
async def test_tiles_fill_the_area(page: Page, count: int, width: int, height: int, columns: int) -> None:
    grid = await call(page, "/app/grid-layout.js", "return module.bestGrid(...argument);", [count, width, height, 8])
    assert grid["columns"] == columns
    assert grid["columns"] * grid["rows"] >= count
    assert grid["tileWidth"] * grid["columns"] + 8 * (grid["columns"] - 1) <= width
    assert grid["tileHeight"] * grid["rows"] + 8 * (grid["rows"] - 1) <= height
    assert 0.59 <= grid["tileWidth"] / grid["tileHeight"] <= 1.79


async def test_a_speaker_out_of_sight_takes_the_place_of_the_most_silent(page: Page) -> None:
    body = """
      const spoke = new Map([['a', 5], ['b', 1], ['d', 9]]);
      return [
        module.chooseShown(['a', 'b', 'c', 'd'], ['a', 'b'], spoke, 2),
        module.chooseShown(['a', 'b', 'c'], ['a', 'b'], new Map(), 2),
        module.chooseShown(['b', 'c'], ['a', 'b'], new Map(), 4),
      ];"""
    assert await call(page, "/app/grid-layout.js", body) == [["a", "d"], ["a", "b"], ["b", "c"]]


async def test_statistics_are_rates_of_an_interval(page: Page) -> None:
    body = """
      const entry = (values) => new Map(Object.entries(values).map(([id, value]) => [id, value]));
      const video = {type: 'inbound-rtp', kind: 'video'};
      const before = entry({'1:v': {...video, bytesReceived: 1000, packetsReceived: 10, packetsLost: 0}});
      const now = entry({
        '1:v': {...video, bytesReceived: 251000, packetsReceived: 100, packetsLost: 10, framesDecoded: 60},
        '1:c': {type: 'candidate-pair', nominated: true, currentRoundTripTime: 0.03},
        '0:r': {type: 'remote-inbound-rtp', fractionLost: 0.01},
      });
      const reading = module.summarise(now, before, 3000, 1000);
      return {...reading, quality: module.qualityOf(reading), told: module.qualityOf(reading, {told: 'good'})};"""
    reading = await call(page, "/sdk/statistics.js", body)
    assert reading["bitrateIn"] == 1_000_000
    assert reading["lossIn"] == pytest.approx(0.1)
    assert reading["lossOut"] == 0.01
    assert reading["roundTripMs"] == pytest.approx(30)
    assert (reading["framesDecoded"], reading["packetsIn"]) == (60, 100)
    # What did not arrive may have been lost on a publisher's link, unless the server says that our own loses.
    assert (reading["quality"], reading["told"]) == ("good", "poor")


async def test_values_read_well(page: Page) -> None:
    body = """return [
      ['Ada Lovelace', ' grace ', '', '李 小龙'].map(module.initials),
      [7_000, 754_000, 3_723_000].map(module.duration),
      [0, 999, 1000, 312_345_678].map(module.size),
      ['abc-1', 'https://x.org/m/abc?x=1', ' /m/a%20b/recordings', 'not a link'].map(module.meetingIdOf),
      new Set(['p1', 'p2', 'p3', 'p4'].map(module.hue)).size,
    ];"""
    await page.evaluate("import('/app/words.js').then((words) => words.loadWords())")
    assert await call(page, "/app/format.js", body) == [
        ["AL", "G", "?", "李小"],
        ["0:07", "12:34", "1:02:03"],
        ["0 bytes", "999 bytes", "1.0 kB", "312 MB"],
        ["abc-1", "abc", "a b", ""],
        4,
    ]


async def test_nack_for_opus_is_offered_once_and_accepted_only_where_it_was_offered(page: Page) -> None:
    head, opus = "v=0\r\n", "m=audio 9 RTP 111\r\na=rtpmap:111 opus/48000/2\r\n"
    video = "m=video 9 RTP 96\r\na=rtpmap:96 VP8/90000\r\n"
    asked = opus + "a=rtcp-fb:111 nack\r\n"
    cases = [[head + opus + video], [head + asked], [head + opus + opus, head + opus + asked]]
    body = f"return {json.dumps(cases)}.map((arguments) => module.withAudioNack(...arguments));"
    changed = await call(page, "/sdk/audio-repair.js", body)
    assert changed == [head + asked + video, head + asked, head + opus + asked]


async def test_stereo_is_asked_for_once_and_only_where_it_is_wanted(page: Page) -> None:
    def section(parameters: str) -> str:
        return "m=audio 9\r\na=mid:0\r\na=rtpmap:111 opus/48000/2\r\n" + parameters

    plain, stereo, none = (section(one) for one in ("a=fmtp:111 minptime=10\r\n", "a=fmtp:111 stereo=1\r\n", ""))
    body = f"return {json.dumps([plain, stereo, none])}.map((sdp) => module.withStereo(sdp));"
    changed = await call(page, "/sdk/stereo.js", body)
    assert changed == [section("a=fmtp:111 minptime=10;stereo=1\r\n"), stereo, stereo]
    assert (
        await call(page, "/sdk/stereo.js", f"return module.withStereo({json.dumps(plain)}, (mid) => mid === '1');")
        == plain
    )


async def test_a_caret_moves_with_the_text_before_it(page: Page) -> None:
    body = """
      const added = [[{retain: 2}, {insert: 'abc'}], [{retain: 9}, {insert: 'x'}]];
      const removed = [[{retain: 1}, {delete: 2}], [{delete: 9}]];
      return [...added, ...removed].map((delta) => module.moved(5, delta));"""
    assert await call(page, "/app/carets.js", body) == [8, 5, 3, 0]


async def test_a_narrow_uplink_is_spared_for_sound(page: Page) -> None:
    """Bit rates by second: thin below 200 kbit/s, no camera below 130 if they queue, which is tried later and later."""
    body = """
      const uplink = new module.Uplink();
      const log = [];
      argument.forEach(([bitrate, roundTrip], second) => {
        if (uplink.take(bitrate, second * 1000, 0, roundTrip)) log.push([second, uplink.isThin, uplink.cameraRests]);
      });
      return log;"""

    async def changes_at(*readings: int | None, round_trip: float = 0.3) -> list[list[Any]]:
        return await call(page, "/sdk/uplink.js", body, [[reading, round_trip] for reading in readings])

    narrow = await changes_at(300_000, *[100_000] * 100)
    changes = [
        [2, True, False],
        [5, True, True],
        [35, True, False],
        [40, True, True],
        [100, True, False],
    ]
    assert narrow == changes
    assert await changes_at(300_000, *[100_000] * 100, round_trip=0.1) == [[2, True, False]]
    passing = await changes_at(*[150_000] * 8, *[400_000] * 10)
    assert passing == [[1, True, False], [12, False, False]]
    assert await changes_at(None, 2_000_000, 90_000, 2_000_000) == []


async def test_without_an_estimate_only_a_limit_that_shows_counts(page: Page) -> None:
    """Firefox gives none. While the camera is paused nothing is lost, and after a while it is tried again."""
    body = """
      const uplink = new module.Uplink();
      const log = [];
      argument.forEach((bitrate, second) => {
        if (uplink.take(bitrate ?? undefined, second * 1000)) log.push([second, uplink.isThin, uplink.cameraRests]);
      });
      return log;"""
    readings = [None] * 5 + [100_000] * 5 + [None] * 40
    changes = [[6, True, False], [9, True, True], [39, True, False], [44, False, False]]
    assert await call(page, "/sdk/uplink.js", body, readings) == changes


async def test_what_arrives_of_what_is_sent_is_an_estimate_once_much_is_lost(page: Page) -> None:
    body = """
      const rate = new module.CarriedRate();
      return argument.map(([sound, video, again, loss], second) => rate.take(new Map([
        ['a', {type: 'outbound-rtp', ssrc: 1, bytesSent: sound}],
        ['b', {type: 'outbound-rtp', ssrc: 2, bytesSent: video, retransmittedBytesSent: again}],
        ['c', {type: 'remote-inbound-rtp', ssrc: 1, fractionLost: 0}],
        ['d', {type: 'remote-inbound-rtp', ssrc: 2, fractionLost: loss}],
        ['e', {type: 'candidate-pair'}],
      ]), second * 1000) ?? null);"""
    seconds = [[0, 0, 0, 0], [5000, 20_000, 0, 0.1], [10_000, 50_000, 10_000, 0.5], [15_000, 70_000, 10_000, 0]]
    assert await call(page, "/sdk/uplink.js", body, seconds) == [None, None, 8 * (5000 + 20_000 * 0.5), None]


async def test_an_uplink_is_narrow_only_if_more_was_wanted(page: Page) -> None:
    """Bit rates by second, each with what videos would send."""
    body = """
      const uplink = new module.Uplink();
      const log = [];
      argument.forEach(([bitrate, wanted], second) => {
        if (uplink.take(bitrate, second * 1000, wanted)) log.push([second, uplink.isNarrow]);
      });
      return log;"""
    both, small = 2_700_000, 200_000
    readings = [[700_000, both]] * 6 + [[1_400_000, both]] * 6 + [[1_600_000, both]] * 6
    assert await call(page, "/sdk/uplink.js", body, readings) == [[4, True], [16, False]]
    assert await call(page, "/sdk/uplink.js", body, [[700_000, small]] * 20) == []
    dip = [[2_000_000, both]] * 5 + [[700_000, both]] * 4 + [[2_000_000, both]] * 5
    assert await call(page, "/sdk/uplink.js", body, dip) == []
    begins = [[700_000, small]] * 10 + [[700_000, both]] * 5
    assert await call(page, "/sdk/uplink.js", body, begins) == [[14, True]]


async def test_media_is_lost_only_if_it_was_there(page: Page) -> None:
    """A peer that connects for the first time, or at another server, is no sign of a loss."""
    body = """
      const peers = [new EventTarget(), new EventTarget()];
      const become = (connectionState) => {
        for (const peer of peers) {
          peer.connection = {connectionState, localDescription: null};
          peer.dispatchEvent(new Event('state'));
        }
      };
      const keeper = new module.PeerKeeper(...peers, () => false, () => false, () => {});
      const log = [];
      for (const step of argument) {
        if (step === 'anew') keeper.renewed();
        else become(step);
        log.push(keeper.mediaState());
      }
      keeper.close();
      return log;"""
    steps = ["new", "connecting", "connected", "disconnected", "connecting", "disconnected", "anew"]
    states = ["connected", "connecting", "connected", "media-lost", "media-lost", "media-lost", "connecting"]
    assert await call(page, "/sdk/peer-keeper.js", body, steps) == states
    steps = ["connected", "anew", "new", "connecting", "failed"]
    states = ["connected", "connected", "connected", "connecting", "media-lost"]
    assert await call(page, "/sdk/peer-keeper.js", body, steps) == states


async def test_silence_lasts_from_what_was_not_answered(page: Page) -> None:
    body = """
      const silence = new module.Silence();
      return argument.map(([at, sent, received, lost]) => silence.take({sent, received}, at, lost));
    """
    readings = [[0, 10, 10], [500, 10, 10], [1000, 11, 10], [1500, 11, 10], [2000, 20, 10], [2500, 21, 11]]
    assert await call(page, "/sdk/silence.js", body, readings) == [0, 0, 0, 500, 1000, 0]
    lost = [[0, 10, 10, False], [500, 10, 10, True], [1500, 10, 10, True]]
    assert await call(page, "/sdk/silence.js", body, lost) == [0, 0, 1000]


async def test_only_a_silent_peer_is_replaced_while_signaling_answers(page: Page) -> None:
    """One peer sends and hears nothing, the other hears something now and then. Both are in doubt."""
    body = """
      let sent = 0, heard = 0;
      const restarted = [];
      const peers = ['silent', 'heard'].map((name) => Object.assign(new EventTarget(), {
        connection: {connectionState: 'connected', localDescription: null, getStats: async () => new Map([
          [1, {type: 'outbound-rtp', packetsSent: ++sent}],
          [2, {type: 'candidate-pair', nominated: true, bytesReceived: name === 'heard' ? ++heard : 1}],
          [3, {type: 'candidate-pair', nominated: false, requestsSent: sent, bytesReceived: sent}],
        ])},
        restart: async () => { restarted.push([name, answers]); },
      }));
      let answers = false;
      const keeper = new module.PeerKeeper(...peers, () => true, () => answers, () => {});
      for (const peer of peers) peer.dispatchEvent(new Event('state'));
      await new Promise((resolve) => setTimeout(resolve, 1_200)); // a first reading
      keeper.doubt();
      setTimeout(() => { answers = true; }, 2_500);
      while (!restarted.length) await new Promise((resolve) => setTimeout(resolve, 50));
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      keeper.close();
      return restarted;"""
    assert await call(page, "/sdk/peer-keeper.js", body) == [["silent", True]]


async def test_the_word_for_a_network_fits_what_is_seen(page: Page) -> None:
    reading = {"roundTripMs": 40, "lossIn": 0, "lossOut": 0}
    cases = [
        [reading, {}, "good"],
        [reading, {"paused": True}, "poor"],
        [reading, {"isThin": True}, "poor"],
        [reading, {"told": "good"}, "fair"],
        [reading, {"told": "lost"}, "poor"],
        [reading | {"lossOut": 0.2}, {}, "poor"],
        [reading | {"lossIn": 0.2}, {}, "good"],
        [reading | {"lossIn": 0.2}, {"told": "good"}, "poor"],
    ]
    body = "return argument.map(([reading, seen]) => module.qualityOf(reading, seen));"
    assert await call(page, "/sdk/statistics.js", body, cases) == [expected for _, _, expected in cases]


async def test_a_frame_shows_only_web_addresses(page: Page) -> None:
    body = """
      try { new module.Meeting('javascript:alert(1)', {parent: document.body}); } catch (error) { return error.code; }
    """
    assert await call(page, "/sdk/embed.js", body) == "bad_argument"


async def test_a_room_that_moves_keeps_the_media_of_those_who_have_not_followed(page: Page) -> None:
    """Ada's camera is replaced and then shown by the next node; Grace never comes."""
    body = """
      const {Roster} = await import('/sdk/roster.js');
      const roster = new Roster();
      const person = (participant) => ({participant, name: participant});
      const camera = (track, participant) => ({track, participant, source: 'camera', media: 'video', codec: 'VP8'});
      roster.replace([person('ada'), person('grace')], [camera('old-a', 'ada'), camera('old-g', 'grace')]);
      roster.tracks.get('old-a').mediaTrack = 'picture';
      let left = null;
      const handover = new module.Handover(roster, (what) => { left = what; });
      handover.begin(roster.replace([], []));
      const kept = [...roster.tracks.keys()];
      const awaited = [handover.joined('ada'), handover.joined('ada'), handover.joined('radia')];
      const track = roster.setTrack(camera('new-a', 'ada'));
      const old = handover.successor(track);
      const borrows = [handover.borrows('new-a'), handover.successor(track)];
      handover.arrived('new-a');
      borrows.push(handover.borrows('new-a'), handover.active);
      handover.end();
      return {kept, awaited, old: old.mediaTrack, borrows, tracks: [...roster.tracks.keys()], active: handover.active,
        people: left.people, lost: left.tracks.map(({id}) => id), borrowing: left.borrowing, silent: silent()};
      function silent() { // somebody without camera and microphone follows, too
        const quiet = new module.Handover(roster, (what) => { left = what; });
        quiet.begin({left: [{id: 'radia'}], removed: []});
        const waits = quiet.active;
        quiet.joined('radia');
        return [waits, quiet.active, left.people];
      }
    """
    assert await call(page, "/sdk/handover.js", body) == {
        "kept": ["old-a", "old-g"],
        "awaited": [True, False, False],
        "old": "picture",
        "borrows": [True, None, False, True],
        "tracks": ["old-g", "new-a"],
        "active": False,
        "people": ["grace"],
        "lost": ["old-g"],
        "borrowing": [],
        "silent": [True, False, []],
    }
