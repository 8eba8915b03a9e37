"""Where the examples are, so that tests can import them as modules."""

import sys

from tests.tutorials.scripts import ROOT

SERVE = ROOT / "examples" / "serve"
if str(SERVE) not in sys.path:
    sys.path.insert(0, str(SERVE))
