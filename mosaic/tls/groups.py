"""Pin the key-exchange curves of TLS before OpenSSL loads.

OpenSSL's own list holds X448 and secp521r1, which Mozilla's intermediate
profile refuses, and pyOpenSSL has no setter for it. OpenSSL reads its defaults
from the file that OPENSSL_CONF names, once, when it is loaded: hence this
module imports nothing that loads it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

GROUPS = "X25519:P-256:P-384"

CONFIGURATION = f"""\
# Written by Mosaic at every start. To use a file of your own, name it in
# OPENSSL_CONF in the environment.
openssl_conf = openssl_init

[openssl_init]
ssl_conf = ssl_section

[ssl_section]
system_default = tls_defaults

[tls_defaults]
Groups = {GROUPS}
"""

_LOADERS = ("cryptography.hazmat.bindings._rust", "OpenSSL")


def openssl_is_loaded() -> bool:
    """Whether cryptography's OpenSSL has read its configuration already."""
    return any(name in sys.modules for name in _LOADERS)


def pin_groups(state_dir: Path) -> bool:
    """Write `<state>/tls/openssl.cnf` and name it in OPENSSL_CONF.

    Call it before the first import of OpenSSL or cryptography. Returns whether
    the pinned curves will be in force: False when OpenSSL is loaded already,
    when the operator has named an OPENSSL_CONF of his own, which stays, and
    when the file cannot be written (whoever uses the folder next says why).
    """
    path = (state_dir / "tls" / "openssl.cnf").absolute()
    named = os.environ.get("OPENSSL_CONF")
    if named and Path(named) != path:
        return False
    if openssl_is_loaded():
        return named is not None
    temporary = path.with_suffix(".new")
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        temporary.write_text(CONFIGURATION)
        temporary.replace(path)
    except OSError:
        return False
    os.environ["OPENSSL_CONF"] = str(path)
    return True
