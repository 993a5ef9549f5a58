"""SRTP: the RFCs' vectors against the reference, the reference against the engines."""

import random

import pytest

from sfu.engine.contract import Drop, Engine, SrtpKeys, SrtpProfile
from sfu.engine.srtp import GcmProtector, create_protector, derive_key
from sfu.formats import rtp
from tests.sfu.engine import reference_srtp
from tests.sfu.engine.table import KEY_BYTES, one_to_one, vp8

MASTER_KEY = bytes.fromhex("E1F97A0D3E018BE0D64FA32C06DE4139")
MASTER_SALT = bytes.fromhex("0EC675AD498AFEEBB6960B3AABE6")


def test_key_derivation_of_rfc_3711_b3() -> None:
    expected = {
        0: "C61E7A93744F39EE10734AFE3FF7A087",
        2: "30CBBC08863D8C85D49DB34A9AE1",
        1: "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4",
    }
    for label, value in expected.items():
        size = len(value) // 2
        assert derive_key(MASTER_KEY, MASTER_SALT, label, size).hex().upper() == value
        assert reference_srtp.derive(MASTER_KEY, MASTER_SALT, label, size).hex().upper() == value


def test_counter_mode_of_rfc_3711_b2() -> None:
    key = bytes.fromhex("2B7E151628AED2A6ABF7158809CF4F3C")
    start = int("F0F1F2F3F4F5F6F7F8F9FAFBFCFD0000", 16)
    stream = reference_srtp.counter_mode(key, start, bytes(32))
    assert stream.hex().upper() == "E03EAD0935C95E80E166B16DD92B4EB4D23513162B02D0F72A43A2FE4A5F97AB"


def test_gcm_of_rfc_7714_16_1() -> None:
    key = bytes(range(16))
    salt = bytes.fromhex("517569642070726f2071756f")
    packet = bytes.fromhex(
        "8040f17b8041f8d35501a0b247616c6c696120657374206f6d6e69732064697669736120696e207061727465732074726573"
    )
    expected = (
        "8040f17b8041f8d35501a0b2f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d1"
        "9b36de3adf8833899d7f27beb16a9152cf765ee4390cce"
    )
    assert reference_srtp.gcm_rtp(key, salt, packet, 12, 0).hex() == expected


@pytest.mark.parametrize("profile", list(SrtpProfile))
def test_protectors_equal_the_reference(profile: SrtpProfile) -> None:
    randoms = random.Random(int(profile))
    for size in (0, 1, 15, 16, 17, 1200):
        key = randoms.randbytes(KEY_BYTES[profile])
        index = randoms.randrange(1 << 48)
        header = rtp.build_header(96, False, index & 0xFFFF, 5, 0xDEADBEEF)
        payload = randoms.randbytes(size)
        protector = create_protector(SrtpKeys(profile, bytes(len(key)), key))
        sealed = protector.seal(header, payload, protector.base(0xDEADBEEF), index)
        assert sealed == reference_srtp.protect_rtp(key, header + payload, len(header), index >> 16)


def test_gcm_nonces_differ_between_ssrcs() -> None:
    protector = GcmProtector(bytes(16), bytes(12))
    assert protector.base(1) != protector.base(2)


@pytest.mark.parametrize("profile", list(SrtpProfile))
def test_engines_equal_the_reference_over_a_rollover(engine: Engine, profile: SrtpProfile) -> None:
    publisher, subscriber = one_to_one(engine, profile)
    engine.process([publisher.protect(vp8(0, key=True))], 0)
    for seq in range(100, 66_000, 100):
        result = engine.process([publisher.protect(vp8(seq + k, seq)) for k in range(2)], 0)
        packets = [subscriber.srtp.unprotect(entry.data) for entry in result.outgoing]
        for k in range(2):
            roc = (500 + seq + k) >> 16
            header = rtp.parse_header(packets[k])
            expected = reference_srtp.protect_rtp(subscriber.key, packets[k], header.payload_offset, roc)
            assert result.outgoing[k].data == expected
    assert roc == 1


@pytest.mark.parametrize("profile", list(SrtpProfile))
def test_reception_in_any_order_equals_libsrtp(engine: Engine, profile: SrtpProfile) -> None:
    """Replays, reordering within and beyond the window, jumps: the same verdict as libsrtp's of 1024 packets."""
    randoms = random.Random(11)
    publisher, _ = one_to_one(engine, profile)
    seqs = [randoms.choice([40_000, 65_000, 3])]
    for _ in range(400):
        seqs.append(seqs[-1] + randoms.choice([1, 1, 1, 2, 30, 900, 3000]))
    datagrams = [publisher.protect(vp8(seq)) for seq in seqs]
    order = sorted(range(len(seqs)), key=lambda k: k + randoms.choice([0, 0, 0, 3, 40, -2]))
    order = [k for k in order for _ in range(randoms.choice([1, 1, 1, 2]))]
    newest, seen, verdicts = -1, set(), []
    for k in order:
        before = engine.drops[Drop.REPLAY]
        engine.process([datagrams[k]], 0)
        replay = seqs[k] in seen or seqs[k] <= newest - 1024
        verdicts.append((engine.drops[Drop.REPLAY] > before, replay))
        if not replay:
            seen.add(seqs[k])
            newest = max(newest, seqs[k])
    assert all(ours == expected for ours, expected in verdicts)
    assert engine.drops[Drop.AUTHENTICATION] == 0
