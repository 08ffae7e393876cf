"""Ten digits that name a hub which no server has numbered."""

from __future__ import annotations

from ipaddress import IPv4Address
from unittest import TestCase

from hypothesis import given
from hypothesis import strategies as st

from mosaic.workspace.ids import (
    format_offline_hub_id,
    offline_hub_id,
    parse_offline_hub_id,
)

PRIVATE = st.one_of(
    st.ip_addresses(v=4, network="10.0.0.0/8"),
    st.ip_addresses(v=4, network="172.16.0.0/12"),
    st.ip_addresses(v=4, network="192.168.0.0/16"),
    st.ip_addresses(v=4, network="169.254.0.0/16"),
    st.ip_addresses(v=4, network="100.64.0.0/10"),
)


class OfflineIdTests(TestCase):
    """Computed on the box, computed back on the phone."""

    def test_known_addresses(self) -> None:
        """The ends of the ranges; other programs must agree on them."""
        self.assertEqual(offline_hub_id("10.0.0.0")[:9], "900000000")
        self.assertEqual(offline_hub_id("192.168.1.10")[:9], "917826058")
        self.assertEqual(offline_hub_id("255.255.255.255"), "4294967295")
        self.assertEqual(format_offline_hub_id("9178260581"), "917 826 0581")

    @given(st.ip_addresses(v=4))
    def test_every_address_has_one_and_comes_back(self, address: IPv4Address) -> None:
        """Ten digits, whichever network the box is in."""
        digits = offline_hub_id(str(address))
        self.assertEqual(len(digits), 10)
        self.assertEqual(parse_offline_hub_id(digits), str(address))
        self.assertEqual(
            parse_offline_hub_id(format_offline_hub_id(digits)), str(address)
        )

    @given(PRIVATE, st.integers(0, 9), st.integers(1, 9))
    def test_one_wrong_digit_is_noticed(
        self, address: IPv4Address, place: int, off: int
    ) -> None:
        """In a private network, where hubs are: never another box's address,
        unless it is the first digit that became a small one."""
        digits = offline_hub_id(str(address))
        wrong = (int(digits[place]) + off) % 10
        typed = digits[:place] + str(wrong) + digits[place + 1 :]
        if place == 0 and wrong < 5:
            return
        with self.assertRaises(ValueError):
            parse_offline_hub_id(typed)

    @given(st.text(max_size=20))
    def test_any_text_is_an_address_or_a_value_error(self, text: str) -> None:
        """What people type."""
        try:
            address = parse_offline_hub_id(text)
        except ValueError:
            return
        self.assertEqual(parse_offline_hub_id(offline_hub_id(address)), address)
