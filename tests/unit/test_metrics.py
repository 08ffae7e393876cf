"""What the server counts."""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mosaic.metrics.lag import ReactorLag
from mosaic.metrics.registry import Metrics


@dataclass
class Counters:
    """Like those of a protocol core."""

    made: int = 0
    open: int = 0
    label: str = "not a number"


def samples(metrics: Metrics) -> dict[str, float]:
    """Every sample by its name and label, as a scraper reads it."""
    return {
        " ".join((sample.name, *sample.labels.values())): sample.value
        for family in text_string_to_metric_families(metrics.text())
        for sample in family.samples
    }


class MetricsTests(SynchronousTestCase):
    """One registry."""

    def setUp(self) -> None:
        self.metrics = Metrics()

    def test_series_are_there_before_their_first_event(self) -> None:
        """An alert on a missing series never rings."""
        read = samples(self.metrics)
        self.assertEqual(read["mosaic_sockets drcp"], 0)
        self.assertEqual(read["mosaic_failures_total login"], 0)
        self.assertEqual(read["mosaic_relayed_bytes_total from_clients"], 0)

    def test_events_are_counted(self) -> None:
        """Sockets fall again, the others only grow."""
        for _ in range(3):
            self.metrics.socket_opened("drcp")
        self.metrics.socket_closed("drcp")
        self.metrics.failed("login")
        self.metrics.relayed("from_peers", 1500)
        self.metrics.committed(0.004, 7)
        read = samples(self.metrics)
        self.assertEqual(read["mosaic_sockets drcp"], 2)
        self.assertEqual(read["mosaic_failures_total login"], 1)
        self.assertEqual(read["mosaic_relayed_bytes_total from_peers"], 1500)
        self.assertEqual(read["mosaic_commit_seconds_bucket 0.005"], 1)
        self.assertEqual(read["mosaic_commit_seconds_bucket 0.0025"], 0)
        self.assertEqual(read["mosaic_commit_changes_sum"], 7)

    def test_labels_are_bounded(self) -> None:
        """A name that slips in is counted, not shown."""
        for number in range(100):
            self.metrics.failed(f"ada {number}")
            self.metrics.socket_opened(f"room {number}")
        read = samples(self.metrics)
        self.assertEqual(read["mosaic_failures_total other"], 100)
        self.assertEqual(read["mosaic_sockets other"], 100)
        self.assertNotIn("ada", self.metrics.text())

    def test_cores_are_read_when_somebody_looks(self) -> None:
        """Plain numbers of a dataclass or a mapping; text is left out."""
        counters = Counters()
        self.metrics.watch("mosaic_core", lambda: counters, gauges=["open"])
        self.metrics.watch("mosaic_map", lambda: {"seen": counters.made})
        self.metrics.count_rooms(lambda: counters.open)
        counters.made, counters.open = 5, 2
        read = samples(self.metrics)
        self.assertEqual(read["mosaic_core_made_total"], 5)
        self.assertEqual(read["mosaic_core_open"], 2)
        self.assertEqual(read["mosaic_map_seen_total"], 5)
        self.assertEqual(read["mosaic_rooms"], 2)
        self.assertNotIn("label", self.metrics.text())

    def test_two_servers_share_nothing(self) -> None:
        """Tests and embedders make many."""
        self.metrics.failed("login")
        self.assertEqual(samples(Metrics())["mosaic_failures_total login"], 0)


class LagTests(SynchronousTestCase):
    """The reactor's lateness."""

    def test_lateness_is_reported_and_stop_leaves_nothing(self) -> None:
        """On time, then 0.3 s late, then silence."""
        clock = Clock()
        heard: list[float] = []
        lag = ReactorLag(clock, heard.append)
        lag.start()
        lag.start()
        clock.advance(0.5)
        clock.advance(0.8)
        self.assertEqual(len(heard), 2)
        self.assertAlmostEqual(heard[0], 0.0)
        self.assertAlmostEqual(heard[1], 0.3)
        lag.stop()
        lag.stop()
        self.assertEqual(clock.getDelayedCalls(), [])
