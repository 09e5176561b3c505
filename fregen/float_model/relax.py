"""Free and nudged phase in real numbers.

Golden twin: :mod:`fregen.golden.relax`; ``docs/numerics.md``, "Phases", tells the order of every step.  Arrays hold one
sample a row.  All products come from the connections of the graph; no topology is known here by name.

Free phase, from zero states (paper, "Dynamics")::

    h_i = sum over connections into i of  scale * M s_source          s_i <- ρ(h_i)

Nudged phase, form ``states``: from the free states, the same with ``β_f W_f^T e`` added where the error comes in;
``ds_i = s_i^nudged - s_i^free``.  Form ``offset``: the disturbance itself, to first order, from zero::

    d_i <- ρ'(h_i^free) * (sum over hidden connections of scale * M d_source  +  β_f W_f^T e)

Here d_i is not scaled by ``2**g_i`` as its words are in fixed point: floating point does not underflow.

A layer whose sources did not change since it was computed is not computed again: it could only repeat.  From zero
states every second layer of a layered network rests in every synchronous step, by turns, which halves the work.
"""

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..design import Design
from ..graph import Connection, Graph
from .activation import FloatActivation, softmax
from .noise import Shake
from .wiring import Plan, Wiring

__all__ = ["FloatRelax", "FreePhase", "NudgedPhase", "Observer", "product"]

Array = NDArray[Any]
Observer = Callable[[int, Sequence[Array]], object]
"""Called after every step with its number (from 1) and the states (or offsets) of all layers."""

_FIRST = 4
"""Neurons of a layer that are compared first: while a layer moves they nearly always tell."""


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
        Part of every sum that comes from the input, by layer index.
    logits : (n, classes) array
        Readout of the states: sums of the output layer.
    steps : int
        Steps executed.
    stale : frozenset of int
        Hidden layers that another step would compute anew; the others would repeat their states.
    """

    states: list[Array]
    sums: list[Array]
    static: list[Array]
    logits: Array
    steps: int
    stale: frozenset[int]


@dataclass(frozen=True)
class NudgedPhase:
    """What the nudged phase gave.

    Parameters
    ----------
    contrast : list of (n, neurons) arrays
        ds by layer index, not scaled by the gain; of the output layer the error of the free phase; empty for the input.
    steps : int
        Steps executed.
    """

    contrast: list[Array]
    steps: int


def product(weights: Sequence[Array], connection: Connection, source: Array) -> Array:
    """Return ``scale * M s`` of a connection for every sample (row)."""
    matrix = weights[connection.matrix]
    result = source @ (matrix if connection.transposed else matrix.T)
    if connection.scale != 1:
        result *= connection.scale
    return result


@dataclass
class _Motion:
    """A phase under way.

    Parameters
    ----------
    states, sums : (height, n) arrays
        Of all hidden layers, as the plan places them; states are offsets in the offset form.
    wiring : Wiring
        Products.
    constant : dict of int to (neurons, n) array
        What is added to the products of a layer, by layer index.
    finish : callable
        Turns sums of some rows into states: (rows, out).
    stale : set of int
        Layers that may change if they are computed now.
    """

    states: Array
    sums: Array
    wiring: Wiring
    constant: dict[int, Array]
    finish: Callable[[slice, Array], object]
    stale: set[int] = field(default_factory=set)


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
        End a phase after the first step that changes no state (or offset) of any sample by more than this.  By default
        every phase has its full T or K steps.
    """

    def __init__(self, design: Design, graph: Graph, dtype: Any = np.float64, tolerance: float | None = None) -> None:
        learning = design.learning
        self.graph = graph
        self.activation = FloatActivation(design.numerics.activation.function)
        self.tolerance = tolerance
        self._plan = Plan(graph)
        self._dtype = np.dtype(dtype)
        self._free_steps, self._nudged_steps = design.free_steps, design.nudged_steps
        self._nudge = learning.nudge
        self._recomputes = learning.error == "recomputed"
        self._offset = learning.nudged == "offset"
        layers = range(len(graph.layers))
        self._from_input = {i: [c for c in graph.into(i) if c.source == 0] for i in layers}
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
        static = {
            i: total for i, into in self._from_input.items() if (total := _static(weights, into, inputs)) is not None
        }
        states, sums = (np.zeros((plan.height, samples), dtype=self._dtype) for _ in range(2))

        def finish(rows: slice, out: Array) -> None:
            self.activation(sums[rows], out)

        # From zero states a layer without a constant part stays zero: ρ(0) = 0.
        motion = _Motion(states, sums, Wiring(plan, weights, samples), static, finish, {*static} & {*self._hidden})
        steps = self._settle(motion, self._up, self._free_steps, None, observe, shake, inputs)
        stale = self._hidden if shake is not None else motion.stale
        return FreePhase(
            self._by_layer(states, inputs),
            self._by_layer(sums, inputs[:, :0]),
            [static[i].T if i in static else self._nothing(samples, i) for i in range(len(self.graph.layers))],
            self._logits(motion, static.get(self.graph.output)).T,
            steps,
            frozenset(stale),
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
        fixed = {} if self._offset else {i: free.static[i].T for i in self._hidden if self._from_input[i]}
        base = free.logits.T if self._offset else free.static[output].T
        start = np.zeros((plan.height, samples), dtype=self._dtype)
        slopes, sums = np.empty_like(start), np.empty_like(start)
        for layer in self._hidden:
            if self._offset:
                slopes[plan.rows[layer]] = self.activation.slope(free.sums[layer].T)
            else:
                start[plan.rows[layer]] = free.states[layer].T
        states = start.copy()

        def finish(rows: slice, out: Array) -> None:
            if self._offset:
                np.multiply(slopes[rows], sums[rows], out=out)
            else:
                self.activation(sums[rows], out)

        wiring = Wiring(plan, weights, samples)
        motion = _Motion(states, sums, wiring, {}, finish, set() if self._offset else {*free.stale})

        def push(error: Array) -> None:
            drive = self._drive(weights, error)
            motion.constant = fixed | {i: part + fixed[i] if i in fixed else part for i, part in drive.items()}
            motion.stale |= {*drive}

        def renew(changed: Set[int]) -> None:
            if changed & self._into_output:
                push(target - softmax(self._logits(motion, base).T))

        push(first_error)
        empty = free.states[0][:, :0] if self._offset else free.states[0]
        steps = self._settle(
            motion, self._down, self._nudged_steps, renew if self._recomputes else None, observe, shake, empty
        )
        if not self._offset:
            states -= start
        contrast = self._by_layer(states, free.states[0][:, :0])
        contrast[output] = first_error
        return NudgedPhase(contrast, steps)

    # Parts ----------------------------------------------------------------------------------------------------------

    def _settle(
        self,
        motion: _Motion,
        groups: Sequence[Sequence[int]],
        limit: int,
        renew: Callable[[Set[int]], None] | None,
        observe: Observer | None,
        shake: Shake | None,
        inputs: Array,
    ) -> int:
        """Take at most ``limit`` steps; ``renew`` gets the layers computed in the last one, from the second step on."""
        plan, stale = self._plan, motion.stale
        changed: set[int] = set()
        for step in range(1, limit + 1):
            if renew is not None and step > 1:
                renew(changed)
            if shake is not None:
                stale.update(self._hidden)
            changed = set()
            moved = False
            for group in groups:
                due = [layer for layer in group if layer in stale]
                stale.difference_update(due)
                for layer in due:
                    sums = motion.sums[plan.rows[layer]]
                    motion.wiring.enter(layer, motion.states, motion.constant.get(layer), sums)
                for layer in due:
                    moved = self._finish(motion, plan.rows[layer], moved, shake)
                    stale |= plan.readers[layer]
                changed.update(due)
            if observe is not None:
                observe(step, [array.copy() for array in self._by_layer(motion.states, inputs)])
            if self.tolerance is not None and not moved:
                return step
        return limit

    def _finish(self, motion: _Motion, rows: slice, moved: bool, shake: Shake | None) -> bool:
        """Renew the states of a layer from its sums; return whether any moved by more than the tolerance.

        With ``moved`` the answer is known, and nothing is compared; a few neurons are looked at before the others.
        """
        middle = rows.stop if shake is not None or self.tolerance is None else min(rows.start + _FIRST, rows.stop)
        for part in (slice(rows.start, middle), slice(middle, rows.stop)):
            states = motion.states[part]
            if not len(states):
                continue
            if moved or self.tolerance is None:
                motion.finish(part, states)
                if shake is not None:
                    shake(states.T)
                continue
            fresh = motion.wiring.scratch[: len(states)]
            motion.finish(part, fresh)
            if shake is not None:
                shake(fresh.T)
            states -= fresh
            moved = not max(states.max(initial=0), -states.min(initial=0)) <= self.tolerance
            states[...] = fresh
        return moved

    def _logits(self, motion: _Motion, base: Array | None) -> Array:
        """Return what enters the output layer, shape (classes, n)."""
        output = self.graph.output
        logits = np.empty((self.graph.layers[output].size, motion.states.shape[1]), dtype=self._dtype)
        motion.wiring.enter(output, motion.states, base, logits)
        return logits

    def _drive(self, weights: Sequence[Array], error: Array) -> dict[int, Array]:
        """Return ``β_f W_f^T e``, shape (neurons, n), by layer, for the layers that the error reaches."""
        drive: dict[int, Array] = {}
        for connection in self.graph.error_connections:
            term = self._nudge * product(weights, connection, error).T
            drive[connection.target] = drive[connection.target] + term if connection.target in drive else term
        return drive

    def _by_layer(self, values: Array, first: Array) -> list[Array]:
        """Return views of shape (n, neurons) by layer index: input as given, output empty."""
        hidden = (values[self._plan.rows[i]].T for i in self._hidden)
        return [first, *hidden, np.zeros((values.shape[1], 0), dtype=self._dtype)]

    def _nothing(self, samples: int, layer: int) -> Array:
        """Return zeros of a layer, not to be written."""
        return np.broadcast_to(np.zeros((), dtype=self._dtype), (samples, self.graph.layers[layer].size))


def _static(weights: Sequence[Array], connections: Sequence[Connection], inputs: Array) -> Array | None:
    """Return what the input adds to a layer's sum, shape (neurons, n); None if it is not connected."""
    total: Array | None = None
    for c in connections:
        term = (weights[c.matrix].T if c.transposed else weights[c.matrix]) @ inputs.T
        if c.scale != 1:
            term *= c.scale
        total = term if total is None else total + term
    return total
