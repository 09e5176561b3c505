"""Write the reference Verilog anew: python rtl/refresh.py.  A test compares it with what fregen generates."""

import sys
from pathlib import Path

from fregen.design.document import Design
from fregen.emit.emitted import emit
from fregen.commands.generate import manifest_text

HERE = Path(__file__).resolve().parent
REFERENCES = ("tiny", "digits")


def reference(name: str) -> dict[str, str]:
    """Texts of a reference folder beside its design file, by file name."""
    emitted = emit(Design.load(HERE / name / "design.toml"))
    return {f"{name}.v": emitted.verilog, "manifest.json": manifest_text(emitted)}


if __name__ == "__main__":
    for name in sys.argv[1:] or REFERENCES:
        for file, text in reference(name).items():
            (HERE / name / file).write_text(text, encoding="utf-8")
            print(f"rtl/{name}/{file}: {len(text)} bytes")
