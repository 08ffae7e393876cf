"""The native plane under AddressSanitizer and UndefinedBehaviorSanitizer.

The contract suite runs in a process whose plane is built with both; then the
packet path is fed mutated inputs for a bounded time.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from hashlib import blake2b
from pathlib import Path
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from mosaic.relay.plane_build import build
from tests.support.running import ROOT

SANITIZE = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g", "-O1")
SUITES = tuple(
    f"tests.contracts.test_{name}"
    for name in (
        *("relay", "native_relay", "native_sockets", "native_clients"),
        *("relay_challenges", "relay_admission", "traffic_class"),
    )
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
        libasan = run(self.cc, "-print-file-name=libasan.so", timeout_s=60).strip()
        text = run(
            sys.executable, "-c", SUITE, module,
            f"--temp-directory={self.folder / 'trial'}", *SUITES,
            timeout_s=600,
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
        text = run(binary, str(FUZZ_S), "1", corpus, timeout_s=FUZZ_S + 300)
        inputs, datagrams = (int(text.split()[at]) for at in (0, 2))
        self.assertGreater(inputs, 1000)
        self.assertGreater(datagrams, 10_000)

    def test_refused_segmentation(self) -> None:
        """The rules of sending, against a kernel that refuses: no sockets."""
        self.assertIn("all rules hold", run(self.build_rules(), timeout_s=60))

    def test_nonce_hash(self) -> None:
        """BLAKE2b as the library has it (RFC 7693): at every border of a block."""
        binary = self.folder / "blake2b"
        source = FUZZ / "blake2b_print.c"
        run(self.cc, "-std=gnu11", *SANITIZE, source, "-o", binary, timeout_s=600)
        asked = [
            (out, key, size)
            for out in (1, 4, 7, 20, 64)
            for key in (0, 1, 32, 64)
            for size in (0, 1, 11, 23, 127, 128, 129, 255, 256, 257, 512)
        ]
        lines = "".join(f"{out} {key} {size}\n" for out, key, size in asked)
        text = subprocess.run(
            [str(binary)], input=lines, capture_output=True, text=True, check=True
        ).stdout
        keys, data = bytes(range(255, 191, -1)), bytes(at % 256 for at in range(512))
        expected = [
            blake2b(data[:size], key=keys[:key], digest_size=out).hexdigest()
            for out, key, size in asked
        ]
        self.assertEqual(text.split(), expected)
        # the example of RFC 7693, appendix A, holds for the library
        abc = blake2b(b"abc").hexdigest()
        self.assertEqual(abc[:16] + abc[-8:], "ba80a53f981c4d0dd4009923")

    def build_fuzzer(self) -> Path:
        """The target with our driver: gcc has no libFuzzer."""
        target, driver = self.folder / "target.o", self.folder / "driver.o"
        flags = ("-std=gnu11", "-pthread", *SANITIZE)
        trace = "-fsanitize-coverage=trace-pc"
        run(self.cc, *flags, trace, "-c", FUZZ / "plane_fuzz.c", "-o", target,
            timeout_s=600)  # fmt: skip
        run(self.cc, "-std=gnu11", "-O1", "-c", FUZZ / "fuzz_driver.c", "-o", driver,
            timeout_s=600)  # fmt: skip
        binary = self.folder / "plane_fuzz"
        run(self.cc, *flags, target, driver, "-o", binary, timeout_s=600)
        return binary

    def build_rules(self) -> Path:
        """The outbox with a stand-in for the kernel."""
        binary = self.folder / "outbox_rules"
        run(self.cc, "-std=gnu11", "-D_GNU_SOURCE", *SANITIZE,
            FUZZ / "outbox_rules.c", "-o", binary, timeout_s=600)  # fmt: skip
        return binary
