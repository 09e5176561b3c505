"""Show a design's network: its connections, what they cost, and a picture."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..design.document import Design
from ..design.graph import Connection, Graph
from ..design.initial import glorot
from ..errors import FregenError
from ..files import write_all
from ..float_model.spectrum import spectral_radius
from ..hdl.beat import Sizes
from ..hdl.footprint import footprint
from ..plan import Schedule
from ..progress import Progress
from ..spec.network import NetworkSpec
from ..views.figures import png, svg
from ..views.graph_figure import graph_figure, layer_name, line_kind

__all__ = ["SPECTRUM_UP_TO", "describe", "show"]

SPECTRUM_UP_TO = 2**24
"""Weights up to which the spectral radius is computed unasked: they are drawn, and multiplied some hundred times."""
_ALL_EIGENVALUES_UP_TO = 512
"""Hidden neurons up to which all eigenvalues are computed: a fifth of a second."""


def show(
    design: Design | Path, out: Path, spectrum: bool | None = None, progress: Progress | None = None
) -> dict[str, Any]:
    """Describe a network, and draw it into ``graph.svg`` and ``graph.png``.

    Parameters
    ----------
    design : Design or Path
        Design, or its file.
    out : Path
        Folder to write; other files in it stay.
    spectrum : bool, optional
        Whether to compute the spectral radius; by default up to :data:`SPECTRUM_UP_TO` weights.
    progress : callable, optional
        Called with done, total (0: not known) and a text.

    Returns
    -------
    dict
        :func:`describe`, and ``folder`` and ``files``.

    Raises
    ------
    DesignError
        If the design is wrong, or its layers and connections make no network.
    OutputError
        If the folder cannot be written; no half of a picture stays behind.
    """
    design = design if isinstance(design, Design) else Design.load(design)
    found = describe(design, spectrum, progress)
    times, weights = found["multiplications"], found["weights"]
    notes = [
        ("weights learned", f"{weights['learned']:,}"),
        ("weights fixed", f"{weights['fixed']:,}"),
        ("multiplications a step", f"{times['step']:,}"),
        ("input's, once a sample", f"{times['input']:,}"),
    ]
    if found["spectral_radius"] is not None:
        notes.append(("spectral radius, initial", f"{found['spectral_radius']:.4g}"))
    title = f"{design.name}: {_sizes(found['layers'], found.get('maps', {}))}"
    figure = graph_figure(Graph.build(design.network), design.learning.nudge, title, notes)
    files: dict[str, bytes | str] = {"graph.svg": svg(figure), "graph.png": png(figure)}
    write_all(out, files)
    return {**found, "folder": out, "files": list(files)}


def describe(design: Design, spectrum: bool | None = None, progress: Progress | None = None) -> dict[str, Any]:
    """Return layers, connections, and what they cost.

    Parameters
    ----------
    design : Design
        Its network may be one that only the float model can run.
    spectrum : bool, optional
        Whether to compute the spectral radius; by default up to :data:`SPECTRUM_UP_TO` weights.
    progress : callable, optional
        Called with done, total (0: not known) and a text.

    Returns
    -------
    dict
        ``name``; ``layers``, their neurons; ``maps``, only where there are feature maps: their ``[channels, height,
        width]`` before they are pooled, by layer; ``connections``, a list of dicts with ``source``, ``target``,
        ``kind``, ``matrix``, ``transposed``, ``rows``, ``columns`` (values that the product gives and takes: neurons of
        the matrix's target and states that its source forwards, or the reverse where it is transposed) and ``scale``;
        ``weights``, biases among them: ``all``, ``learned`` and ``fixed``; ``multiplications`` of a sample
        (:meth:`Graph.multiplications`): ``hidden`` (hidden to hidden) and ``readout`` in a step, their sum ``step``,
        ``input`` once, ``error`` whenever the error is fed back; ``spectral_radius`` of the scaled hidden-to-hidden
        matrix at the initial weights (docs/method.md, "Convergence measures"), None where it was not computed;
        ``spectral_radius_left_out``, why not, or None; ``hardware``, what its core needs: ``multipliers``,
        ``memory_bits``, and ``memories``, bits by memory (:func:`fregen.hdl.footprint.footprint`), or None where
        ``hardware_left_out`` says why it has no core.

    Raises
    ------
    GraphError
        If layers and connections make no network.
    """
    graph = Graph.build(design.network)
    counts = {matrix.index: math.prod(graph.shape(matrix)) for matrix in graph.matrices}
    learned = sum(counts[matrix.index] for matrix in (*graph.learned, *graph.biases))
    products = [graph.multiplications(matrix) for matrix in graph.matrices]
    left_out = _no_spectrum(graph, sum(counts.values()), spectrum)
    radius = None
    if left_out is None:
        weights = glorot(graph, design.seed)

        def count(products: int) -> None:
            if progress is not None:
                progress(products, 0, "products for the spectral radius")

        radius = spectral_radius(graph, weights, _ALL_EIGENVALUES_UP_TO, count)
    maps = {layer.index: list(layer.maps) for layer in graph.layers if layer.maps is not None}
    times = {"hidden": 0, "readout": 0, "input": 0}
    for c in graph.connections:
        part = "input" if c.source == 0 else "readout" if c.target == graph.output else "hidden"
        times[part] += products[c.matrix]
    return {
        "name": design.name,
        "layers": [layer.size for layer in graph.layers],
        **({"maps": maps} if maps else {}),
        "connections": [
            *(_row(graph, c, 1.0) for c in graph.connections),
            *(_row(graph, c, design.learning.nudge) for c in graph.error_connections),
        ],
        "weights": {
            "all": sum(counts.values()),
            "learned": learned,
            "fixed": sum(counts.values()) - learned,
        },
        "multiplications": {
            **times,
            "step": times["hidden"] + times["readout"],
            "error": sum(products[c.matrix] for c in graph.error_connections),
        },
        **_hardware(design),
        "spectral_radius": radius,
        "spectral_radius_left_out": left_out,
    }


def _hardware(design: Design) -> dict[str, Any]:
    """Return what the design's core needs, or why it has none."""
    try:
        needs = footprint(Sizes(Schedule.of(NetworkSpec(design))))
    except FregenError as error:
        return {"hardware": None, "hardware_left_out": str(error)}
    numbers = {"multipliers": needs.multipliers, "memory_bits": needs.memory_bits, "memories": needs.memories}
    return {"hardware": numbers, "hardware_left_out": None}


def _no_spectrum(graph: Graph, weights: int, wanted: bool | None) -> str | None:
    """Return why the spectral radius is not computed; None if it is."""
    if any(layer.maps for layer in graph.layers):
        return "pooling makes it depend on the states"
    if wanted is None and weights > SPECTRUM_UP_TO:
        return f"more than {SPECTRUM_UP_TO:,} weights: --spectrum computes it all the same"
    return None if wanted is not False else "not asked for"


def _sizes(layers: list[int], maps: Mapping[int, Sequence[int]]) -> str:
    """Return the sizes in a few characters: ``784-64-32-10``, ``784-(10×64)-10``, ``1×28×28-32c-64c-10``."""
    names = [str(size) for size in layers]
    for index, (channels, height, width) in maps.items():
        names[index] = f"{channels}c" if index else f"{channels}×{height}×{width}"
    hidden = names[1:-1]
    if len(hidden) > 3 and len(set(hidden)) == 1:
        return f"{names[0]}-({len(hidden)}×{hidden[0]})-{names[-1]}"
    return "-".join(names) if len(names) <= 12 else f"{len(hidden)} hidden layers"


def _row(graph: Graph, connection: Connection, factor: float) -> dict[str, Any]:
    target, source = graph.layers[connection.target], graph.layers[connection.source]
    gives, takes = (target.outputs, source.size) if connection.transposed else (target.size, source.outputs)
    return {
        "source": layer_name(graph, connection.source),
        "target": layer_name(graph, connection.target),
        "kind": line_kind(graph, connection).name,
        "matrix": graph.matrices[connection.matrix].name,
        "transposed": connection.transposed,
        "rows": gives,
        "columns": takes,
        "scale": connection.scale * factor,
    }
