"""Where the benchmarks are, so that tests can import them as modules."""

import sys

from tests.tutorials.scripts import ROOT

BENCHMARKS = ROOT / "benchmarks"
if str(BENCHMARKS) not in sys.path:
    sys.path.insert(0, str(BENCHMARKS))
