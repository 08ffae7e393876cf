"""Thinning: what is let go, and what never is."""

from __future__ import annotations

from typing import Any
from unittest import TestCase

from hypothesis import given
from hypothesis import strategies as st

from mosaic.workspace.versions import (
    DAY_S,
    HOUR_S,
    Reason,
    Thinning,
    Version,
    condemned,
)

NOW = 1000 * DAY_S
"""Midnight, so that days are easy to count."""


def version(number: int, age_s: float, **more: Any) -> Version:
    """One of that age; greater numbers are younger."""
    fields: dict[str, Any] = {
        "id": number,
        "document": "board",
        "at": NOW - age_s,
        "label": None,
        "by": "",
        "reason": Reason.AUTO,
        "through_seq": number,
        "size_bytes": 20,
        "kept_bytes": 10,
    }
    return Version(**{**fields, **more})


def left(*versions: Version, **rule: Any) -> list[int]:
    """The ids that stay."""
    gone = condemned(versions, now=NOW, rule=Thinning(**rule))
    return [one.id for one in versions if one.id not in gone]


class ThinningTests(TestCase):
    """The rule of days and weeks."""

    def test_a_day_of_everything_then_days_then_weeks(self) -> None:
        """The last one of each slot stands for the others."""
        hours = [version(100 - n, n * HOUR_S) for n in range(1, 24)]
        days = [version(60 - n, DAY_S + 1 + n * DAY_S / 2) for n in range(8)]
        weeks = [version(30 - n, 40 * DAY_S + n * 3.5 * DAY_S) for n in range(6)]
        kept = left(*hours, *days, *weeks)
        self.assertEqual(len([k for k in kept if k > 70]), 23)
        self.assertEqual(len([k for k in kept if 40 < k <= 60]), 4)
        self.assertIn(len([k for k in kept if k <= 30]), (3, 4))

    def test_a_year_is_enough(self) -> None:
        """Except for the newest of a document, however old, and for names."""
        old = [version(n, 400 * DAY_S) for n in (1, 2)]
        named = version(3, 500 * DAY_S, label="Draft")
        other = version(4, 500 * DAY_S, document="notes/a")
        self.assertEqual(left(*old, named, other), [3, 4])

    def test_bytes_are_bounded(self) -> None:
        """The oldest go first; names and the newest stay."""
        versions = [version(n, (9 - n) * 60.0) for n in range(1, 9)]
        versions.append(version(0, 900.0, label="First"))
        self.assertEqual(left(*versions, room_bytes=45), [6, 7, 8, 0])
        self.assertEqual(left(*versions, room_bytes=1), [8, 0])

    @given(
        st.lists(
            st.tuples(st.floats(0, 800 * DAY_S), st.booleans(), st.sampled_from("ab")),
            max_size=30,
        )
    )
    def test_thinning_twice_is_thinning_once(self, facts: Any) -> None:
        """And neither a name nor the newest of a document ever goes."""
        ages = sorted(facts, reverse=True)
        versions = [
            version(n, age, label="x" if named else None, document=document)
            for n, (age, named, document) in enumerate(ages, 1)
        ]
        kept = left(*versions)
        stay = [one for one in versions if one.id in kept]
        self.assertEqual(left(*stay), kept)
        for one in versions:
            newest = max(o.id for o in versions if o.document == one.document)
            if one.label is not None or one.id == newest:
                self.assertIn(one.id, kept)
