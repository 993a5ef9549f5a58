"""`SessionDescription` to text, in the order of lines that RFC 9429's examples use."""

from collections.abc import Iterator

from sfu.formats.sdp.description import (
    Attribute,
    Candidate,
    ExtensionMap,
    MediaSection,
    SessionDescription,
    Simulcast,
    SimulcastStream,
    TransportParameters,
)


def serialize(description: SessionDescription) -> str:
    """Return the text, with lines ended by CRLF; raises ValueError if a value contains a line break."""
    lines = list(_session_lines(description))
    for section in description.media:
        lines += _section_lines(section)
    text = "\r\n".join(lines) + "\r\n"
    if not text.count("\r") == text.count("\n") == len(lines) or "\0" in text:
        raise ValueError("a value contains a line break")
    return text


def candidate_line(candidate: Candidate) -> str:
    """Return the candidate-attribute's value, without "a=" (RFC 8839, section 5.1)."""
    line = (
        f"candidate:{candidate.foundation} {candidate.component} {candidate.transport} {candidate.priority} "
        f"{candidate.address} {candidate.port} typ {candidate.type}"
    )
    if candidate.related_address is not None:
        line += f" raddr {candidate.related_address}"
    if candidate.related_port is not None:
        line += f" rport {candidate.related_port}"
    return line + "".join(f" {name} {value}" for name, value in candidate.extensions)


def _session_lines(description: SessionDescription) -> Iterator[str]:
    origin = description.origin
    family = "IP6" if ":" in origin.address else "IP4"
    yield "v=0"
    yield f"o={origin.username} {origin.session_id} {origin.version} IN {family} {origin.address}"
    yield f"s={description.name}"
    if description.connection is not None:
        yield f"c={description.connection}"
    yield "t=0 0"
    for group in description.groups:
        yield "a=group:" + " ".join((group.semantics, *group.mids))
    if description.ice_lite:
        yield "a=ice-lite"
    if description.extmap_allow_mixed:
        yield "a=extmap-allow-mixed"
    if description.direction is not None:
        yield f"a={description.direction.value}"
    yield from _transport_lines(description.transport)
    yield from (_extension_line(extension) for extension in description.extensions)
    yield from (_attribute_line(attribute) for attribute in description.attributes)


def _section_lines(section: MediaSection) -> Iterator[str]:
    yield "m=" + " ".join((section.kind, str(section.port), section.protocol, *section.formats))
    if section.connection is not None:
        yield f"c={section.connection}"
    for candidate in section.candidates:
        yield "a=" + candidate_line(candidate)
    if section.end_of_candidates:
        yield "a=end-of-candidates"
    yield from _transport_lines(section.transport)
    if section.mid is not None:
        yield f"a=mid:{section.mid}"
    if section.bundle_only:
        yield "a=bundle-only"
    yield from (_extension_line(extension) for extension in section.extensions)
    if section.extmap_allow_mixed:
        yield "a=extmap-allow-mixed"
    if section.direction is not None:
        yield f"a={section.direction.value}"
    for msid in section.msids:
        yield f"a=msid:{msid.stream}" if msid.track is None else f"a=msid:{msid.stream} {msid.track}"
    if section.rtcp_mux:
        yield "a=rtcp-mux"
    if section.rtcp_rsize:
        yield "a=rtcp-rsize"
    yield from _payload_lines(section)
    yield from _stream_lines(section)
    yield from (_attribute_line(attribute) for attribute in section.attributes)


def _payload_lines(section: MediaSection) -> Iterator[str]:
    for rtp_map in section.rtp_maps:
        channels = f"/{rtp_map.channels}" if rtp_map.channels != 1 else ""
        yield f"a=rtpmap:{rtp_map.payload_type} {rtp_map.name}/{rtp_map.clock_rate}{channels}"
    for feedback in section.feedback:
        yield f"a=rtcp-fb:{'*' if feedback.payload_type is None else feedback.payload_type} {feedback.value}"
    for parameters in section.parameters:
        yield f"a=fmtp:{parameters.payload_type} {parameters.text}"


def _stream_lines(section: MediaSection) -> Iterator[str]:
    for rid in section.rids:
        restrictions = f" {rid.restrictions}" if rid.restrictions else ""
        yield f"a=rid:{rid.id} {'send' if rid.sends else 'recv'}{restrictions}"
    if section.simulcast is not None:
        yield "a=simulcast:" + _simulcast(section.simulcast)
    for group in section.ssrc_groups:
        yield "a=ssrc-group:" + " ".join((group.semantics, *map(str, group.ssrcs)))
    for ssrc in section.ssrcs:
        yield f"a=ssrc:{ssrc.ssrc} {ssrc.name}" + ("" if ssrc.value is None else f":{ssrc.value}")


def _transport_lines(transport: TransportParameters) -> Iterator[str]:
    if transport.ice_ufrag is not None:
        yield f"a=ice-ufrag:{transport.ice_ufrag}"
    if transport.ice_pwd is not None:
        yield f"a=ice-pwd:{transport.ice_pwd}"
    if transport.ice_options is not None:
        yield f"a=ice-options:{transport.ice_options}"
    for fingerprint in transport.fingerprints:
        yield f"a=fingerprint:{fingerprint.algorithm} {fingerprint.value}"
    if transport.setup is not None:
        yield f"a=setup:{transport.setup.value}"


def _extension_line(extension: ExtensionMap) -> str:
    direction = f"/{extension.direction.value}" if extension.direction else ""
    parameters = f" {extension.parameters}" if extension.parameters else ""
    return f"a=extmap:{extension.id}{direction} {extension.uri}{parameters}"


def _attribute_line(attribute: Attribute) -> str:
    return f"a={attribute.name}" if attribute.value is None else f"a={attribute.name}:{attribute.value}"


def _simulcast(simulcast: Simulcast) -> str:
    parts = []
    for word, streams in (("send", simulcast.send), ("recv", simulcast.receive)):
        if streams:
            parts.append(f"{word} " + ";".join(",".join(map(_simulcast_rid, stream)) for stream in streams))
    return " ".join(parts)


def _simulcast_rid(stream: SimulcastStream) -> str:
    return ("~" if stream.paused else "") + stream.rid
