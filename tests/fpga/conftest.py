"""Put this folder's helpers (:mod:`fake_nextpnr`) on the path: with importlib mode pytest adds none."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from fake_nextpnr import nextpnr, synthesized  # noqa: F401  (pytest finds fixtures here)
