"""Free and nudged phase in real numbers.

Golden twin: :mod:`fregen.golden.relax`; ``docs/numerics.md``, "Phases", has the order of every step.  Arrays hold one
sample a row.  All products come from the connections of the graph; no topology is known here by name.

Free phase, from zero states (docs/method.md, "Dynamics")::

    h_i = sum over connections into i of  scale * M s_source          s_i <- ρ(h_i)

Nudged phase, form ``states``: from the free states, the same with ``β_f W_f^T e`` added where the error comes in;
``ds_i = s_i^nudged - s_i^free``.  Form ``offset``: the disturbance itself, to first order, from zero::

    d_i <- ρ'(h_i^free) * (sum over hidden connections of scale * M d_source  +  β_f W_f^T e)

Here d_i is not scaled by ``2**g_i`` as its words are in fixed point: floating point does not underflow.

How the steps are taken, and when they end, is in :mod:`fregen.float_model.motion`.
"""

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..design.document import Design
from ..design.graph import Graph
from .activation import FloatActivation, softmax
from .motion import Motion, Tolerance
from .noise import Shake
from .products import back, bias_of, forward, forwarded_states
from .wiring import Plan, Wiring

__all__ = ["FloatRelax", "FreePhase", "NudgedPhase", "Observer"]

Array = NDArray[Any]
Observer = Callable[[int, Sequence[Array]], object]
"""Called after every step with its number (from 1) and the states (or offsets) of all layers."""


@dataclass(frozen=True)
class FreePhase:
    """Where the free phase ended.

    Parameters
    ----------
    states : list of (n, neurons) arrays
        By layer index; the input is layer 0, the output layer is empty.
    sums : list of (n, neurons) arrays
        h of the last step, by layer index; empty for input and output.
    static : list of (n, neurons) arrays
        Part of every sum that comes from the input and the bias, by layer index.
    logits : (n, classes) array
        Readout of the states: sums of the output layer.
    steps : float
        Steps executed, mean over the samples.
    stale : frozenset of int
        Hidden layers that another step would compute anew; the others would repeat their states, or change within the
        tolerance.
    """

    states: list[Array]
    sums: list[Array]
    static: list[Array]
    logits: Array
    steps: float
    stale: frozenset[int]


@dataclass(frozen=True)
class NudgedPhase:
    """What the nudged phase gave.

    Parameters
    ----------
    contrast : list of (n, neurons) arrays
        ds by layer index, not scaled by the gain; of the output layer the error of the free phase; empty for the input.
    steps : float
        Steps executed, mean over the samples.
    """

    contrast: list[Array]
    steps: float


class FloatRelax:
    """Settle the network.

    Parameters
    ----------
    design : Design
        Phase lengths T and K, order, form of the nudged phase, β_f, activation.
    graph : Graph
        Layers and connections.
    dtype : numpy float type
        Type of all states.
    tolerance : float, optional
        End a phase, sample by sample, once two steps have changed no state (or offset) by more than this part of what
        the nudge amounts to in its layer: ``tolerance * 2**-g`` with g of :meth:`Graph.shrinkage`, in the nudged phase
        times the sample's greatest ``|e|``.  (The free phase of form ``offset``, where nothing is subtracted, has
        g = 0.)  It is asked at every sixth step.  By default every phase has its full T or K steps.
    """

    def __init__(self, design: Design, graph: Graph, dtype: Any = np.float64, tolerance: float | None = None) -> None:
        learning = design.learning
        self.graph = graph
        self.activation = FloatActivation(design.numerics.activation.function)
        self.tolerance = tolerance
        self._nudge_sizes = {i: 2.0**-g for i, g in enumerate(graph.shrinkage(learning.nudge))}
        self._plan = Plan(graph)
        self._dtype = np.dtype(dtype)
        self._free_steps, self._nudged_steps = design.free_steps, design.nudged_steps
        self._nudge = learning.nudge
        self._recomputes = learning.error == "recomputed"
        self._offset = learning.nudged == "offset"
        layers = range(len(graph.layers))
        self._from_input = {i: [c for c in graph.into(i) if c.source == 0] for i in layers}
        self._biases = {matrix.target: matrix.index for matrix in graph.biases}
        self._static = {i for i in layers if self._from_input[i]} | {*self._biases}
        self._into_output = frozenset(c.source for c in graph.into(graph.output))
        self._hidden = [layer.index for layer in graph.hidden]
        # Layers of a group are computed from the same states: one by one in a sweep, else all at once.
        sweep = learning.order == "sweep"
        self._up = [[i] for i in self._hidden] if sweep else [self._hidden]
        self._down = [[i] for i in self._hidden[::-1]] if sweep else [self._hidden[::-1]]

    # Phases ---------------------------------------------------------------------------------------------------------

    def free(
        self, weights: Sequence[Array], inputs: Array, observe: Observer | None = None, shake: Shake | None = None
    ) -> FreePhase:
        """Settle without an error, from zero states; sweeps run from the input up.

        Parameters
        ----------
        weights : sequence of arrays
            By matrix index, shape (target, source).
        inputs : (n, inputs) array
            Held constant.
        observe : callable, optional
            Sees the states after every step.
        shake : callable, optional
            Adds noise to the new states of a layer, as soon as they are computed.
        """
        samples, plan = len(inputs), self._plan
        static = {i: self._static_part(weights, i, inputs) for i in self._static}
        states, sums = (np.zeros((plan.height, samples), dtype=self._dtype) for _ in range(2))
        # From zero states a layer without a constant part stays zero: ρ(0) = 0.
        stale = {*static} & {*self._hidden}
        wiring = Wiring(plan, weights, samples)
        motion = Motion(plan, wiring, states, sums, self.activation, constant={**static}, stale=stale)
        tolerance = self._tolerance(np.ones(samples, dtype=self._dtype), not self._offset)
        show = self._shown(motion, observe, inputs)
        steps = motion.settle(self._up, self._free_steps, tolerance, observe=show, shake=shake)
        left = self._hidden if shake is not None else () if tolerance is not None else motion.stale
        return FreePhase(
            self._by_layer(states, inputs),
            self._by_layer(sums, inputs[:, :0]),
            [static[i].T if i in static else self._nothing(samples, i) for i in range(len(self.graph.layers))],
            self._logits(Wiring(plan, weights, samples), states, static.get(self.graph.output)).T,
            steps,
            frozenset(left),
        )

    def nudged(
        self,
        weights: Sequence[Array],
        free: FreePhase,
        target: Array,
        observe: Observer | None = None,
        shake: Shake | None = None,
    ) -> NudgedPhase:
        """Settle under the output error ``e = s_tar - softmax(logits)``; sweeps run from the output down.

        Parameters
        ----------
        weights : sequence of arrays
            Those of the free phase.
        free : FreePhase
            Where it ended.
        target : (n, classes) array
            s_tar, one-hot.
        observe : callable, optional
            Sees the states (``offset``: the offsets) after every step.
        shake : callable, optional
            Adds noise to the new states (``offset``: the offsets) of a layer, as soon as they are computed.
        """
        first_error = target - softmax(free.logits)
        samples, output, plan = len(target), self.graph.output, self._plan
        fixed = {} if self._offset else {i: free.static[i].T for i in self._static if i != output}
        base = free.logits.T if self._offset else free.static[output].T
        start, sums = (np.zeros((plan.height, samples), dtype=self._dtype) for _ in range(2))
        slopes = np.empty_like(start) if self._offset else None
        for layer in self._hidden:
            if slopes is not None:
                slopes[plan.rows[layer]] = self.activation.slope(free.sums[layer].T)
            else:
                start[plan.rows[layer]] = free.states[layer].T
        states = start.copy()
        wiring = Wiring(plan, weights, samples, self._winners(free) if self._offset else None)
        stale = set[int]() if self._offset else {*free.stale}
        motion = Motion(plan, wiring, states, sums, self.activation, slopes, stale=stale)

        def push(error: Array) -> None:
            drive = self._drive(weights, error)
            motion.returned = {i: part for i, part in drive.items() if self.graph.layers[i].maps is not None}
            plain = {i: part for i, part in drive.items() if i not in motion.returned}
            motion.constant = fixed | {i: part + fixed[i] if i in fixed else part for i, part in plain.items()}
            motion.stale |= {*drive}

        def renew(changed: Set[int]) -> None:
            if changed & self._into_output:
                push(target - softmax(self._logits(wiring, states, base).T))

        push(first_error)
        tolerance = self._tolerance(np.abs(first_error).max(axis=1, initial=0), True)
        show = self._shown(motion, observe, free.states[0][:, :0] if self._offset else free.states[0])
        again = renew if self._recomputes else None
        steps = motion.settle(self._down, self._nudged_steps, tolerance, again, show, shake)
        if not self._offset:
            states -= start
        contrast = self._by_layer(states, free.states[0][:, :0])
        contrast[output] = first_error
        return NudgedPhase(contrast, steps)

    # Parts ----------------------------------------------------------------------------------------------------------

    def _tolerance(self, samples: Array, subtracted: bool) -> Tolerance | None:
        """Return by how much states may change, times a factor of each sample; ``subtracted``: as they carry ds."""
        if self.tolerance is None:
            return None
        sizes = self._nudge_sizes if subtracted else dict.fromkeys(self._nudge_sizes, 1.0)
        return Tolerance({i: self.tolerance * size for i, size in sizes.items()}, samples)

    def _shown(self, motion: Motion, observe: Observer | None, inputs: Array) -> Callable[[int], object] | None:
        """Return what shows an observer the states of all layers."""
        if observe is None:
            return None
        return lambda step: observe(step, [array.copy() for array in self._by_layer(motion.states, inputs)])

    def _logits(self, wiring: Wiring, states: Array, base: Array | None) -> Array:
        """Return what enters the output layer, shape (classes, n)."""
        output = self.graph.output
        logits = np.empty((self.graph.layers[output].size, states.shape[1]), dtype=self._dtype)
        wiring.enter(output, states, base, logits)
        return logits

    def _drive(self, weights: Sequence[Array], error: Array) -> dict[int, Array]:
        """Return ``β_f W_f^T e``, shape (neurons, n), by layer, for the layers that the error reaches."""
        drive: dict[int, Array] = {}
        for connection in self.graph.error_connections:
            matrix, values = self.graph.matrices[connection.matrix], weights[connection.matrix]
            apply = back if connection.transposed else forward
            term = apply(self.graph, matrix, values, error.T)
            term *= self._nudge * connection.scale
            drive[connection.target] = drive[connection.target] + term if connection.target in drive else term
        return drive

    def _static_part(self, weights: Sequence[Array], layer: int, inputs: Array) -> Array:
        """Return what input and bias add to a layer's sum, shape (neurons, n)."""
        total: Array | None = None
        for c in self._from_input[layer]:
            matrix = self.graph.matrices[c.matrix]
            term = (back if c.transposed else forward)(self.graph, matrix, weights[c.matrix], inputs.T)
            if c.scale != 1:
                term *= c.scale
            total = term if total is None else total + term
        if layer in self._biases:
            bias = bias_of(self.graph.layers[layer], weights[self._biases[layer]])
            total = np.repeat(bias, len(inputs), axis=1) if total is None else total + bias
        assert total is not None
        return total

    def _winners(self, free: FreePhase) -> dict[int, Any]:
        """Return where the layers of maps found what they led on in the free phase, by layer index."""
        layers = [layer for layer in self.graph.hidden if layer.window > 1]
        return {layer.index: forwarded_states(layer, free.states[layer.index].T)[1] for layer in layers}

    def _by_layer(self, values: Array, first: Array) -> list[Array]:
        """Return views of shape (n, neurons) by layer index: input as given, output empty."""
        hidden = (values[self._plan.rows[i]].T for i in self._hidden)
        return [first, *hidden, np.zeros((values.shape[1], 0), dtype=self._dtype)]

    def _nothing(self, samples: int, layer: int) -> Array:
        """Return zeros of a layer, not to be written."""
        return np.broadcast_to(np.zeros((), dtype=self._dtype), (samples, self.graph.layers[layer].size))
