"""Builds `mosaic.relay._plane` from plane.c: CFFI in API mode, the stable ABI.

setup.py uses `ffi`; the declarations are those of plane_api.h. In a checkout,
`python -m mosaic.relay.plane_build` puts the module beside this file.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from cffi import FFI

FOLDER = Path(__file__).resolve().parent
SOURCES = ("plane.c",)
HEADERS = tuple(sorted(path.name for path in FOLDER.glob("*.h")))


def make_ffi(
    folder: str | Path = "mosaic/relay",
    *,
    compile_args: tuple[str, ...] = ("-O2",),
    link_args: tuple[str, ...] = (),
) -> FFI:
    """What builds the module.

    folder: where plane.c is, relative to setup.py unless absolute.
    """
    made = FFI()
    made.cdef((FOLDER / "plane_api.h").read_text())
    made.set_source(
        "mosaic.relay._plane",
        '#include "plane_api.h"',
        sources=[str(Path(folder, name)) for name in SOURCES],
        include_dirs=[str(folder)],
        depends=[str(Path(folder, name)) for name in HEADERS],
        extra_compile_args=["-std=gnu11", "-Wall", *compile_args],
        extra_link_args=["-pthread", *link_args],
        py_limited_api=True,
    )
    return made


def build(
    target: Path,
    *,
    compile_args: tuple[str, ...] = ("-O2",),
    link_args: tuple[str, ...] = (),
) -> Path:
    """Compile into a folder; the module's file. Raises what CFFI raises."""
    with TemporaryDirectory() as scratch:
        ffi = make_ffi(FOLDER, compile_args=compile_args, link_args=link_args)
        built = Path(ffi.compile(tmpdir=scratch))
        fresh = shutil.copy(built, target / f"{built.name}.new")
        # Never into a file that a running process has mapped.
        return Path(fresh).replace(target / built.name)


ffi = make_ffi()

if __name__ == "__main__":
    build(FOLDER)
