"""Draw docs/architecture.svg from docs/rooms.toml: ``python docs/draw_architecture.py``.

The upper half is the import law that ``tests/test_layers.py`` holds the code to, so it cannot say what is not so.
"""

import io
import tomllib
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib import pyplot as plt
from matplotlib.patches import FancyBboxPatch

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "fregen"

INK, PALE = "#1d2733", "#f4f6f8"
MODEL, CHIP = "#2a7f9e", "#b3541e"
READINGS = {"model": MODEL, "hardware": CHIP}
FOLDER = Path(__file__).parent


def box(axes: plt.Axes, x: float, y: float, w: float, h: float, title: str, note: str, colour: str) -> None:
    """Draw one box with a title and a note below it."""
    style = "round,pad=0,rounding_size=0.08"
    axes.add_patch(FancyBboxPatch((x, y), w, h, boxstyle=style, facecolor=PALE, edgecolor=colour, linewidth=1.6))
    axes.text(x + w / 2, y + h - 0.27, title, ha="center", va="center", fontsize=10.5, color=colour, weight="bold")
    axes.text(x + w / 2, y + (h - 0.4) / 2, note, ha="center", va="center", fontsize=8, color=INK, linespacing=1.35)


def arrow(axes: plt.Axes, start: tuple[float, float], end: tuple[float, float], colour: str = INK) -> None:
    """Draw an arrow from start to end."""
    axes.annotate(
        "", end, start, arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 1.4, "shrinkA": 0, "shrinkB": 0}
    )


def rooms(axes: plt.Axes, rows: list[dict[str, Any]], top: float, height: float) -> None:
    """Draw a row of boxes for every row of rooms, the last row of the file on top: imports point down."""
    for place, row in enumerate(reversed(rows)):
        y, x = top - (place + 1) * height, 0.7
        lengths = {name: 1.4 * len(name) + len(room["holds"]) + 5 for name, room in row.items()}
        for name, room in row.items():
            width = 13.4 * lengths[name] / sum(lengths.values())
            colour = READINGS.get(room.get("reads", ""), INK)
            inner = width - 0.1
            style = "round,pad=0,rounding_size=0.06"
            patch = FancyBboxPatch(
                (x, y), inner, height - 0.07, boxstyle=style, facecolor=PALE, edgecolor=colour, linewidth=1.3
            )
            axes.add_patch(patch)
            middle = y + (height - 0.07) / 2 - 0.01
            label = axes.annotate(name, (x + 0.1, middle), va="center", fontsize=9.5, color=colour, weight="bold")
            axes.annotate(
                room["holds"],
                (1, 0.5),
                xycoords=label,
                xytext=(5, 0),
                textcoords="offset points",
                va="center",
                fontsize=7.8,
                color=INK,
            )
            x += width
    arrow(axes, (0.35, top - 0.1), (0.35, top - len(rows) * height))
    axes.text(0.13, top - len(rows) * height / 2, "imports", rotation=90, va="center", fontsize=8.5, color=INK)


def hardware(axes: plt.Axes) -> None:
    """Draw the units of the core and what flows between them."""
    axes.plot((0.1, 14.0), (5.25, 5.25), color="#c5ccd3", lw=0.8)
    axes.text(
        0.1,
        4.85,
        "The hardware: P lanes, each with the synapses of every P-th neuron; weights never leave their lane",
        fontsize=11,
        color=INK,
    )
    box(axes, 0.1, 2.6, 2.1, 1.3, "samples", "stream in; finds zeros\nwhile the last sample\nis worked on", CHIP)
    box(axes, 0.1, 0.5, 2.1, 1.3, "sequencer", "walks the schedule,\none beat a cycle", CHIP)
    box(axes, 3.0, 0.5, 5.6, 3.4, "array of P lanes", "", CHIP)
    for k, name in enumerate(("lane 0", "lane 1", "…", "lane P-1")):
        x = 3.2 + 1.33 * k
        box(axes, x, 0.75, 1.2, 2.55, name, "" if name == "…" else "weights\n×\nsum\nupdater", INK)
    box(axes, 9.3, 2.6, 2.0, 1.3, "neuron", "activation; or\nslope × sum", CHIP)
    box(axes, 9.3, 0.5, 2.0, 1.3, "softmax", "prediction, error:\ntwo small tables", CHIP)
    box(axes, 12.0, 0.5, 2.0, 3.4, "vectors", "states\nof a batch\n\noffsets and\nerrors\n\nP words a line", CHIP)
    arrow(axes, (2.2, 3.25), (3.0, 3.25))
    arrow(axes, (2.2, 1.15), (3.0, 1.15))
    arrow(axes, (8.6, 3.25), (9.3, 3.25))
    arrow(axes, (8.6, 1.15), (9.3, 1.15))
    arrow(axes, (11.3, 3.25), (12.0, 3.25))
    arrow(axes, (11.3, 1.15), (12.0, 1.15))
    axes.plot((13.0, 13.0, 5.8), (3.9, 4.3, 4.3), color=INK, lw=1.4)
    arrow(axes, (5.8, 4.3), (5.8, 3.9))
    axes.text(
        9.3,
        4.4,
        "operands: one word to all lanes (W·s), each lane its own (Wᵀ·s, update)",
        ha="center",
        fontsize=8,
        color=INK,
    )
    arrow(axes, (10.3, 0.5), (10.3, 0.1))
    axes.text(10.45, 0.2, "predictions", fontsize=8, color=INK)


def draw(rows: list[dict[str, Any]]) -> str:
    """Return the drawing as SVG text: the rooms above, the hardware below."""
    height = 0.42
    top = 5.95 + len(rows) * height
    figure, axes = plt.subplots(figsize=(11, 0.775 * (top + 0.75)))
    axes.set(xlim=(0, 14.2), ylim=(0, top + 0.75))
    axes.axis("off")
    axes.text(
        0.1,
        top + 0.45,
        "The toolkit: two independent readings of one design file, compared word for word",
        fontsize=11,
        color=INK,
    )
    for x, reading, text in (
        (9.3, "model", "what words must be"),
        (11.8, "hardware", "what hardware does"),
    ):
        axes.text(x, top + 0.1, text, fontsize=8.5, color=READINGS[reading])
    rooms(axes, rows, top, height)
    hardware(axes)
    text = io.StringIO()
    figure.savefig(text, format="svg", bbox_inches="tight", metadata={"Date": None})
    plt.close(figure)
    return text.getvalue()


def main() -> None:
    """Write the drawing."""
    rows = tomllib.loads((FOLDER / "rooms.toml").read_text(encoding="utf-8"))["row"]
    (FOLDER / "architecture.svg").write_text(draw(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
