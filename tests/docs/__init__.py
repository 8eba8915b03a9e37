"""Where the scripts of docs/ are, so that tests can import them as modules."""

import sys

from tests.tutorials.scripts import ROOT

DOCS = ROOT / "docs"
if str(DOCS) not in sys.path:
    sys.path.insert(0, str(DOCS))
