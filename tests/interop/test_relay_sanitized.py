"""The native plane under AddressSanitizer and UndefinedBehaviorSanitizer.

The contract suite runs in a process whose plane is built with both; then the
packet path is fed mutated inputs for a bounded time.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from mosaic.relay.plane_build import build
from tests.support.running import ROOT

SANITIZE = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g", "-O1")
SUITES = (
    "tests.contracts.test_relay",
    "tests.contracts.test_native_relay",
    "tests.contracts.test_native_sockets",
    "tests.contracts.test_traffic_class",
)
FUZZ_S = float(os.environ.get("MOSAIC_FUZZ_S", "20"))
FUZZ = ROOT / "tests" / "fuzz"
SUITE = """
import sys
from importlib.util import module_from_spec, spec_from_file_location
spec = spec_from_file_location("mosaic.relay._plane", sys.argv.pop(1))
sys.modules[spec.name] = module = module_from_spec(spec)
spec.loader.exec_module(module)
from twisted.scripts.trial import run
run()
"""


def compiler() -> str:
    """The C compiler; a CI machine has one with sanitizers."""
    found = shutil.which(os.environ.get("CC", "cc"))
    if found is None:
        if os.environ.get("CI") == "true":
            raise AssertionError("no C compiler")
        raise SkipTest("no C compiler")
    return found


def run(*command: str | Path, timeout_s: float, **variables: str) -> str:
    """What a command prints; AssertionError with all of it if it fails."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout_s,
    )
    assert done.returncode == 0, done.stdout[-8000:]
    return done.stdout


class SanitizedTests(SynchronousTestCase):
    """Each run ends at the first finding."""

    def setUp(self) -> None:
        self.cc = compiler()
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)

    def test_contract(self) -> None:
        """Threads, sockets, commands: the real thing."""
        module = build(self.folder, compile_args=SANITIZE, link_args=SANITIZE[:1])
        libasan = run(self.cc, "-print-file-name=libasan.so", timeout_s=10).strip()
        text = run(
            sys.executable, "-c", SUITE, module,
            f"--temp-directory={self.folder / 'trial'}", *SUITES,
            timeout_s=60,
            LD_PRELOAD=libasan,
            # Python itself keeps what it allocates until the end.
            ASAN_OPTIONS="detect_leaks=0",
            MOSAIC_PURE_PYTHON="0",
        )  # fmt: skip
        self.assertIn("NativeRelayIPv6WildcardTests", text)
        self.assertIn("PASSED", text)
        self.assertNotIn("the native plane is not built", text)

    def test_packet_path(self) -> None:
        """Inputs of the corpus and what grows from them; see plane_fuzz.c."""
        binary = self.build_fuzzer()
        corpus = self.folder / "corpus"
        shutil.copytree(FUZZ / "corpus", corpus)
        text = run(binary, str(FUZZ_S), "1", corpus, timeout_s=FUZZ_S + 60)
        inputs, datagrams = (int(text.split()[at]) for at in (0, 2))
        self.assertGreater(inputs, 1000)
        self.assertGreater(datagrams, 10_000)

    def test_refused_segmentation(self) -> None:
        """The rules of sending, against a kernel that refuses: no sockets."""
        self.assertIn("all rules hold", run(self.build_rules(), timeout_s=10))

    def build_fuzzer(self) -> Path:
        """The target with our driver: gcc has no libFuzzer."""
        target, driver = self.folder / "target.o", self.folder / "driver.o"
        flags = ("-std=gnu11", "-pthread", *SANITIZE)
        trace = "-fsanitize-coverage=trace-pc"
        run(self.cc, *flags, trace, "-c", FUZZ / "plane_fuzz.c", "-o", target,
            timeout_s=60)  # fmt: skip
        run(self.cc, "-std=gnu11", "-O1", "-c", FUZZ / "fuzz_driver.c", "-o", driver,
            timeout_s=60)  # fmt: skip
        binary = self.folder / "plane_fuzz"
        run(self.cc, *flags, target, driver, "-o", binary, timeout_s=60)
        return binary

    def build_rules(self) -> Path:
        """The outbox with a stand-in for the kernel."""
        binary = self.folder / "outbox_rules"
        run(self.cc, "-std=gnu11", "-D_GNU_SOURCE", *SANITIZE,
            FUZZ / "outbox_rules.c", "-o", binary, timeout_s=60)  # fmt: skip
        return binary
