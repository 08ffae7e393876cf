"""`python -m mosaic.cli`."""

import sys

from mosaic.cli.main import main

sys.exit(main())
