"""The STUN codec (RFC 8489), against published vectors and against anything."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis.strategies import binary, integers, ip_addresses, sampled_from
from twisted.trial.unittest import SynchronousTestCase

from mosaic.wire.stun import attributes as rows
from mosaic.wire.stun.address import Address, canonical, pack_xor, unpack_xor
from mosaic.wire.stun.attributes import ErrorCode
from mosaic.wire.stun.credentials import long_term_key, long_term_key_sha256, user_hash
from mosaic.wire.stun.errors import MalformedAttribute, MalformedMessage, StunError
from mosaic.wire.stun.message import (
    Class,
    Message,
    Method,
    encode,
    message_type,
    parse,
    split_type,
)
from mosaic.wire.turn import attributes as turn
from tests.vectors import stun as vectors

Rows = list[tuple[rows.Attribute[Any], Any]]
TID = bytes(range(12))
ROWS: list[rows.Attribute[Any]] = [
    row
    for module in (rows, turn)
    for row in vars(module).values()
    if isinstance(row, rows.Attribute)
]


class VectorTests(SynchronousTestCase):
    """What the RFCs print must be read as the RFCs say."""

    def test_request_of_rfc_5769(self) -> None:
        """Section 2.1: all attributes, integrity and fingerprint."""
        message = parse(vectors.REQUEST)
        self.assertEqual((message.method, message.cls), (Method.BINDING, Class.REQUEST))
        self.assertEqual(message.first(rows.SOFTWARE), "STUN test client")
        self.assertEqual(message.first(rows.USERNAME), "evtj:h6vY")
        self.assertEqual(message.first(rows.PRIORITY), 0x6E0001FF)
        self.assertTrue(message.fingerprint)
        self.assertTrue(message.verify(vectors.PASSWORD))
        self.assertFalse(message.verify(b"another"))

    def test_responses_of_rfc_5769(self) -> None:
        """Sections 2.2 and 2.3: mapped addresses of both families."""
        for data, host in (
            (vectors.RESPONSE_V4, "192.0.2.1"),
            (vectors.RESPONSE_V6, "2001:db8:1234:5678:11:2233:4455:6677"),
        ):
            message = parse(data)
            mapped = message.first(rows.XOR_MAPPED_ADDRESS)
            self.assertEqual(mapped, Address(host, 32853))
            self.assertTrue(message.verify(vectors.PASSWORD))

    def test_long_term_request_is_rebuilt(self) -> None:
        """Section 2.4: our encoder makes the same bytes."""
        key = long_term_key(vectors.USERNAME, vectors.REALM, vectors.LONG_TERM_PASSWORD)
        self.assertTrue(parse(vectors.LONG_TERM).verify(key))
        made = encode(
            Method.BINDING,
            Class.REQUEST,
            vectors.LONG_TERM[8:20],
            [
                (rows.USERNAME, vectors.USERNAME),
                (rows.NONCE, vectors.LONG_TERM_NONCE),
                (rows.REALM, vectors.REALM),
            ],
            key=key,
        )
        self.assertEqual(made, vectors.LONG_TERM)

    def test_sha256_request_of_rfc_8489(self) -> None:
        """Appendix B.1: MESSAGE-INTEGRITY-SHA256 and USERHASH."""
        message = parse(vectors.B1)
        names = vectors.USERNAME, vectors.REALM
        key = long_term_key_sha256(*names, vectors.LONG_TERM_PASSWORD)
        self.assertEqual(message.digest, "sha256")
        self.assertTrue(message.verify(key))
        self.assertFalse(message.verify(key[::-1]))
        self.assertEqual(message.first(rows.USERHASH), user_hash(*names))


class MessageTests(SynchronousTestCase):
    """Rules of sections 5 and 14."""

    def test_types_survive(self) -> None:
        """Method and class are woven and parted again (figure 3)."""
        self.assertEqual(message_type(Method.BINDING, Class.ERROR), 0x0111)
        for method in range(0x1000):
            for cls in Class:
                woven = message_type(method, cls)
                self.assertLess(woven, 0x4000)
                self.assertEqual(split_type(woven), (method, cls))

    def test_one_flipped_bit_breaks_integrity(self) -> None:
        """Everything before the integrity attribute is covered."""
        for digest in ("sha1", "sha256"):
            rows_sent: Rows = [(rows.USERNAME, "ann")]
            made = encode(1, Class.REQUEST, TID, rows_sent, key=b"k", digest=digest)
            self.assertTrue(parse(made).verify(b"k"))
            for at in (8, 19, 24, 26):
                bent = bytearray(made)
                bent[at] ^= 1
                self.assertFalse(parse(bytes(bent)).verify(b"k"))

    def test_without_integrity_nothing_verifies(self) -> None:
        """A message without the attribute is never authentic."""
        self.assertFalse(parse(encode(1, Class.REQUEST, TID)).verify(b""))

    def test_attributes_after_integrity_are_ignored(self) -> None:
        """Section 14.5: they are not covered, so they do not count."""
        made = bytearray(encode(1, Class.REQUEST, TID, key=b"k"))
        made += bytes.fromhex("00060003") + b"eve\0"
        made[2:4] = (len(made) - 20).to_bytes(2, "big")
        message = parse(bytes(made))
        username = message.first(rows.USERNAME)
        self.assertIsNone(username)
        self.assertTrue(message.verify(b"k"))

    def test_fingerprint_must_be_right_and_last(self) -> None:
        """Section 14.7: otherwise it is no STUN."""
        made = bytearray(encode(1, Class.REQUEST, TID, fingerprint=True))
        self.assertTrue(parse(bytes(made)).fingerprint)
        made[-1] ^= 1
        self.assertRaises(MalformedMessage, parse, bytes(made))
        made[-1] ^= 1
        made += bytes.fromhex("80220000")
        made[2:4] = (len(made) - 20).to_bytes(2, "big")
        self.assertRaises(MalformedMessage, parse, bytes(made))

    def test_padding_is_zero(self) -> None:
        """What was in memory before must not leak."""
        made = encode(1, Class.REQUEST, TID, [(rows.USERNAME, "x")])
        self.assertEqual(made[-4:], b"x\0\0\0")

    def test_unknown_required_attributes_are_named_once(self) -> None:
        """Section 6.3.1: a 420 lists them."""
        odd = rows.bytes_row(0x7F01, "ODD", "none")
        optional = rows.bytes_row(0xFF01, "OPTIONAL", "none")
        sent: Rows = [(odd, b""), (optional, b""), (odd, b""), (rows.USERNAME, "a")]
        message = parse(encode(1, Class.REQUEST, TID, sent))
        self.assertEqual(message.unknown_required(rows.UNDERSTOOD), (0x7F01,))

    def test_error_code_survives(self) -> None:
        """Class and number travel apart (section 14.8)."""
        made = encode(1, Class.ERROR, TID, [(rows.ERROR_CODE, ErrorCode(438, "Stale"))])
        self.assertEqual(parse(made).first(rows.ERROR_CODE), ErrorCode(438, "Stale"))

    def test_codes_of_the_table_are_unique(self) -> None:
        """Two rows of one code would shadow each other."""
        self.assertEqual(len({row.code for row in ROWS}), len(ROWS))
        self.assertGreater(len(ROWS), 20)


class AnythingTests(SynchronousTestCase):
    """Bad input raises our errors and nothing else."""

    @given(binary(max_size=200))
    @settings(max_examples=200, deadline=None)
    def test_any_bytes(self, data: bytes) -> None:
        """With a good header in front as well as without."""
        head = b"\0\1" + len(data).to_bytes(2, "big") + b"\x21\x12\xa4\x42" + TID
        for packet in (data, head + data):
            try:
                read_everything(parse(packet))
            except StunError:
                continue

    @given(sampled_from(ROWS), binary(max_size=40))
    @settings(max_examples=300, deadline=None)
    def test_any_value_of_any_attribute(
        self, row: rows.Attribute[Any], value: bytes
    ) -> None:
        """A value is read, or refused as malformed."""
        try:
            row.unpack(value, TID)
        except MalformedAttribute as error:
            self.assertTrue(str(error))

    @given(integers(0, len(vectors.REQUEST) - 1), integers(1, 255))
    @settings(max_examples=200, deadline=None)
    def test_any_bent_byte_is_noticed(self, at: int, mask: int) -> None:
        """The fingerprint catches every change of one byte."""
        bent = bytearray(vectors.REQUEST)
        bent[at] ^= mask
        try:
            message = parse(bytes(bent))
        except MalformedMessage:
            return
        # only the fingerprint's own type can change unseen: it is gone then
        self.assertFalse(message.fingerprint)

    @given(ip_addresses(), integers(0, 65535), binary(min_size=12, max_size=12))
    @settings(max_examples=200, deadline=None)
    def test_addresses_survive(self, ip: object, port: int, tid: bytes) -> None:
        """Both families, masked and unmasked (section 14.2)."""
        address = Address(str(ip), port)
        self.assertEqual(unpack_xor(pack_xor(address, tid), tid), address)

    def test_mapped_addresses_of_sockets_become_ipv4(self) -> None:
        """A dual-stack listener must not hide a client's real family."""
        self.assertEqual(canonical("::ffff:192.0.2.1"), "192.0.2.1")
        self.assertEqual(canonical("FE80::1%eth0"), "fe80::1%eth0")
        self.assertRaises(ValueError, canonical, "example.org")
        self.assertRaises(ValueError, canonical, "::g")


def read_everything(message: Message) -> None:
    """Ask for all that there may be."""
    message.verify(b"key")
    message.unknown_required(rows.UNDERSTOOD)
    for row in ROWS:
        try:
            message.first(row)
        except MalformedAttribute:
            continue
