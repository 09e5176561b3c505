"""How near directions of learning are to backpropagation's, matrix by matrix, in deep nets that have not learnt yet."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.datasets import load
from ..design.document import Design
from ..design.graph import Graph
from ..float_model import BackpropNetwork, FloatNetwork
from ..float_model.measures import alignment, cosine
from ..golden import NetworkModel, Trace
from ..spec.network import NetworkSpec
from ..training.samples import as_words
from .depth_target import FORMATS, few_sweeps
from .plots import alignment_lines
from .tables import Sheet
from .target import Run, Scale, Target, no_training, paper

__all__ = ["GRADIENTS"]

Array = NDArray[Any]

_TOPOLOGIES = ("layered", "residual")


def _alignments(scale: Scale, runs: Sequence[Run]) -> Sheet:
    """Measure nets of 64 a layer at their initial weights (seed 0), on the first 256 (quick) or 2,048 test images.

    Forms: the paper's (:func:`~fregen.reproduce.target.paper`) in 32 and in 64 bits, and the offset form of
    :func:`~fregen.reproduce.depth_target.few_sweeps` in real numbers of 64 bits and in words.
    """
    depths, samples = ((5, 10), 256) if scale == "quick" else ((5, 10, 20), 2048)
    data = load(paper((64,), "full", 0))
    inputs, labels = data.test_inputs[:samples], data.test_labels[:samples]
    rows: list[tuple[float | str, ...]] = []
    for count in depths:
        for topology in _TOPOLOGIES:
            network = {"topology": topology}
            long = paper((64,) * count, "full", 0, network)
            short = {bits: few_sweeps(count, "full", 0, network, numerics) for bits, numerics in FORMATS.items()}
            found = {
                "paper, 32 bits": alignment(FloatNetwork(long, np.float32), inputs, labels),
                "paper, 64 bits": alignment(FloatNetwork(long), inputs, labels),
                "offset, 64 bits": alignment(FloatNetwork(short["16/16"]), inputs, labels),
                **{f"offset, words {bits}": _of_words(design, inputs, labels) for bits, design in short.items()},
            }
            learned = {matrix.name: matrix for matrix in Graph.build(long.network).learned}
            for form, cosines in found.items():
                for name, value in cosines.items():
                    rows.append((count, topology, form, name, learned[name].source, learned[name].target, value))
    return Sheet(("hidden layers", "topology", "form", "matrix", "source", "target", "cosine"), rows)


def _of_words(design: Design, inputs: Array, labels: Array) -> dict[str, float]:
    """Compare what the golden model adds up for its updates, before it rounds, with backpropagation from its words.

    All batches start from the initial words, so together they are one large batch.
    """
    spec = NetworkSpec(design)
    model, trace, words = NetworkModel(spec), Trace(), as_words(inputs, spec)
    initial, size = model.weights, design.learning.batch
    for start in range(0, len(words), size):
        model.load(initial)
        model.learn(words[start : start + size], labels[start : start + size], design.learning.rate, trace)
    settled = np.concatenate([batch[:, -1] for batch in trace.states])
    states = {0: words, **trace.by_layer("states", settled)}
    deltas = {
        spec.graph.output: np.concatenate(trace.errors),
        **trace.by_layer("states", np.concatenate(trace.contrast)),
    }
    reference = BackpropNetwork(design)
    reference.load([spec.weight.to_value(array) for array in initial])
    theirs = reference.batch(spec.state.to_value(words), labels).directions
    return {
        matrix.name: cosine(deltas[matrix.target].T @ states[matrix.source].astype(np.float64), theirs[matrix.index])
        for matrix in spec.graph.learned
    }


GRADIENTS = Target(
    "gradients",
    "Directions of learning against backpropagation's, 64 a layer, initial weights",
    no_training,
    alignment_lines,
    measure=_alignments,
)
