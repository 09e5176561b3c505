"""Put this folder's second implementations on the path: with importlib mode pytest adds none."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
