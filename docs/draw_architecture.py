"""Draw docs/architecture.svg: ``python docs/draw_architecture.py``."""

from pathlib import Path

import matplotlib
from matplotlib import pyplot as plt
from matplotlib.patches import FancyBboxPatch

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "fregen"

INK, PALE = "#1d2733", "#f4f6f8"
MODEL, CHIP, TEXT = "#2a7f9e", "#b3541e", "#6b5b95"


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


def main() -> None:
    """Draw toolkit above, hardware below."""
    figure, axes = plt.subplots(figsize=(11, 7.6))
    axes.set(xlim=(0, 14.2), ylim=(0, 9.8))
    axes.axis("off")

    axes.text(
        0.1,
        9.5,
        "The toolkit: one design file, two independent readings of it, compared word for word",
        fontsize=11,
        color=INK,
    )
    box(axes, 0.1, 6.9, 1.9, 1.2, "design.toml", "design.py\nvalidated once", INK)
    box(axes, 2.5, 6.9, 2.0, 1.2, "meaning", "graph.py, spec.py\nfixed, tables, dither", INK)
    box(axes, 5.2, 8.1, 2.6, 1.1, "golden model", "golden/  numpy, bit-true", MODEL)
    box(axes, 5.2, 6.9, 2.6, 1.0, "float model", "float_model/  the paper", MODEL)
    box(axes, 5.1, 5.7, 1.75, 1.0, "plan", "memory map,\nschedule, cycles", CHIP)
    box(axes, 7.2, 5.7, 1.3, 1.0, "hdl", "Amaranth\nunits", CHIP)
    box(axes, 8.9, 5.7, 1.9, 1.0, "emit, render", "Verilog; Jinja for\nthe text around it", TEXT)
    box(axes, 11.3, 5.7, 2.7, 1.0, "simulator", "Verilator or Icarus,\nthrough cocotb", CHIP)
    box(axes, 11.3, 7.9, 2.7, 1.3, "sim/check.py", "every word, address,\nweight and counter", INK)
    arrow(axes, (2.0, 7.5), (2.5, 7.5))
    arrow(axes, (4.5, 7.8), (5.2, 8.5), MODEL)
    arrow(axes, (4.5, 7.5), (5.2, 7.4), MODEL)
    arrow(axes, (4.5, 7.2), (5.1, 6.3), CHIP)
    for a, b in ((6.85, 7.2), (8.5, 8.9), (10.8, 11.3)):
        arrow(axes, (a, 6.2), (b, 6.2), CHIP)
    arrow(axes, (7.8, 8.65), (11.3, 8.65), MODEL)
    axes.text(9.55, 8.8, "all words expected", ha="center", fontsize=8, color=MODEL)
    arrow(axes, (12.65, 6.7), (12.65, 7.9), CHIP)
    axes.text(12.75, 7.25, "all words written", fontsize=8, color=CHIP)

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
    figure.savefig(Path(__file__).with_name("architecture.svg"), bbox_inches="tight", metadata={"Date": None})


if __name__ == "__main__":
    main()
