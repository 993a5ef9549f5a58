# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The compiled engine: does the same as sfu.engine.python, byte for byte, without an object per packet.

Edits of the table are Python code that changes C structures; packets are handled without the interpreter's lock. The
code is in `native/`. Beyond the contract it does its own input and output; see `receive_and_forward`.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.ref cimport PyObject
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcmp, memcpy, memmove, memset

from sfu.engine import checks, contract, pacer, packet, peer_sender, pump, route, sequence_map, srtp, stream
from sfu.engine.checks import confine
from sfu.engine.contract import (
    Arrival,
    ArrivalFlag,
    Drop,
    Leftover,
    LeftoverKind,
    Observed,
    Outgoing,
    Result,
    RouteState,
    SinkPacket,
    SrtpProfile,
    Switch,
)
from sfu.engine.stream import MAX_CACHE_PACKETS, MIN_CACHE_PACKETS
from sfu.engine.packet import NO_PLAYOUT_DELAY, PASSED, playout_delay
from sfu.engine.srtp import KEY_BYTES, check_keys, derive_key
from sfu.formats import dependency_descriptor, red, transport_feedback
from sfu.formats.codecs import Codec
from sfu.formats.dependency_descriptor import DecodeTargetIndication
from sfu.formats.extensions import Extension
from sfu.formats.transport_feedback import TransportFeedback
from sfu.machines import loudness
from sfu.machines.congestion import feedback_analyser, least_delay, overuse, send_history, uplink_delay
from sfu.machines.congestion.loss_windows import LossWindow
from sfu.machines.congestion.feedback_analyser import FeedbackSummary, SentSummary
from sfu.machines.congestion.overuse import Usage
from sfu.machines.congestion.send_history import PacketResult, SentKind
from sfu.machines.congestion.uplink_delay import UplinkWindow
from sfu.machines.repair import stream_progress, twcc_receiver

ELEMENTS = (*PASSED, Extension.TRANSPORT_SEQ, Extension.ABS_SEND_TIME)
SENT_KINDS = tuple(SentKind)
LEFTOVER_KINDS = tuple(LeftoverKind)
USAGES = (Usage.NORMAL, Usage.OVERUSE, Usage.UNDERUSE)

cdef enum:
    CODEC_VP8 = 1
    CODEC_VP9 = 2
    CODEC_H264 = 3
    CODEC_AV1 = 4
    CODEC_RTX = 5
    CODEC_RED = 6
    INDICATION_SWITCH = 2
    PLAYOUT_PLACE = 2
    DESCRIPTOR_PLACE = 3
    FLAG_KEYFRAME = 2
    FLAG_PADDING = 4
    FLAG_REPAIRED = 8
    FLAG_RESUMED = 16
    FLAG_CUT = 32
    FLAG_RECOVERED = 64
    FLAG_OVERFLOWED = 128
    KIND_STUN = 0
    KIND_DTLS = 1
    KIND_RTCP = 2
    KIND_UNKNOWN_SSRC = 3
    KIND_EARLY = 4
    KIND_STRAY = 5
    SENT_AUDIO = 0
    SENT_VIDEO = 1
    SENT_RTX = 2
    SENT_PADDING = 3
    SENT_COPIED_AUDIO = 4
    USAGE_NORMAL = 0
    USAGE_OVERUSE = 1
    USAGE_UNDERUSE = 2
    DROP_UNKNOWN_SOURCE = 0
    DROP_NOT_WEBRTC = 1
    DROP_MALFORMED = 2
    DROP_AUTHENTICATION = 3
    DROP_REPLAY = 4
    DROP_NO_KEYS = 5
    DROP_UNKNOWN_SSRC = 6
    DROP_NOT_PERMITTED = 7
    DROP_DUPLICATE = 8
    DROP_TOO_LATE = 9
    DROP_FILTERED = 10
    DROP_WAITING_FOR_KEYFRAME = 11
    DROP_NO_ADDRESS = 12
    DROP_SEND_BUFFER = 13
    DROP_SEND_ERROR = 14
    DROP_QUEUE_FULL = 15
    DROP_RTX_UNKNOWN = 16
    DROP_RTX_TOO_SOON = 17
    DROP_UNMAPPED_PAYLOAD_TYPE = 18
    DROP_STOPPED = 21
    DROP_SHED = 22
    DROP_BACKLOG_FULL = 23
    DROP_NOT_HANDED_ON = 24
    DROP_STALE = 25
    DROP_SILENT = 26

include "native/system.pxi"
include "native/limits.pxi"
include "native/agreement.pxi"
include "native/link_structures.pxi"
include "native/structures.pxi"
include "native/memory.pxi"
include "native/srtp.pxi"
include "native/descriptors.pxi"
include "native/dependencies.pxi"
include "native/numbering.pxi"
include "native/route.pxi"
include "native/sending.pxi"
include "native/trend.pxi"
include "native/feedback_analyser.pxi"
include "native/feedback_summary.pxi"
include "native/feedback.pxi"
include "native/layout.pxi"
include "native/peer_sender.pxi"
include "native/forwarding.pxi"
include "native/progress.pxi"
include "native/uplink_delay.pxi"
include "native/acknowledgement.pxi"
include "native/redundancy.pxi"
include "native/sources.pxi"
include "native/checks.pxi"
include "native/reception.pxi"
include "native/table.pxi"
include "native/edits.pxi"
include "native/batches.pxi"
include "native/engine.pxi"

cdef const char *missing = crypto_load()
if missing != NULL:
    raise ImportError(f"libcrypto of OpenSSL 1.1 or later; not found here: {missing.decode()}")
