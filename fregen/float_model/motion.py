"""A phase under way: states, what enters them, and step after step until enough is done.

A layer whose sources did not change since it was computed is not computed again: it could only repeat.  From zero
states every second layer of a layered network rests in every synchronous step, by turns, which halves the work.

With a tolerance a sample that has settled is set aside, and the others go on in smaller arrays.  To find out costs as
much as half a step, so it is asked over two steps in six: two, because of layers that rest by turns.
"""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .activation import FloatActivation
from .noise import Shake
from .wiring import Plan, Wiring

__all__ = ["Motion", "Tolerance"]

Array = NDArray[Any]

_EVERY = 6
"""Whether samples have settled is asked over the last two steps of as many."""

_WORTH = 0.8
"""Samples are set aside once no more than this part of those in motion still moves: copying costs time, too."""


@dataclass(frozen=True)
class Tolerance:
    """By how much a state may change in a step and yet count as settled.

    Parameters
    ----------
    layers : mapping of int to float
        Largest change, by layer index.
    samples : (n,) array
        Factor of it for each sample.
    """

    layers: Mapping[int, float]
    samples: Array


@dataclass
class Motion:
    """A phase under way.  All arrays have one sample a column.

    Parameters
    ----------
    plan : Plan
        Where the layers lie.
    wiring : Wiring
        Products.
    states, sums : (height, n) arrays
        Of all hidden layers, as the plan places them; states are offsets in the offset form.  When the motion has
        ended, they hold where every sample stopped.
    activation : FloatActivation
        Turns sums into states.
    slopes : (height, n) array, optional
        Turns sums into states, by multiplication, in place of the activation.
    constant : dict of int to (neurons, n) array
        What is added to the products of a layer, by layer index.
    returned : dict of int to (outputs, n) array
        What is added to what is fed back to a layer of maps, by layer index.
    stale : set of int
        Layers that may change if they are computed now.
    """

    plan: Plan
    wiring: Wiring
    states: Array
    sums: Array
    activation: FloatActivation
    slopes: Array | None = None
    constant: dict[int, Array] = field(default_factory=dict)
    returned: dict[int, Array] = field(default_factory=dict)
    stale: set[int] = field(default_factory=set)

    def settle(
        self,
        groups: Sequence[Sequence[int]],
        limit: int,
        tolerance: Tolerance | None = None,
        renew: Callable[[Set[int]], object] | None = None,
        observe: Callable[[int], object] | None = None,
        shake: Shake | None = None,
    ) -> float:
        """Take steps.

        Parameters
        ----------
        groups : sequence of sequences of int
            Layers of a step; those of a group are computed from the same states.
        limit : int
            Most steps.
        tolerance : Tolerance, optional
            A sample stops once no state of it changed by more in two steps; this is asked at every sixth step.  Without
            it all take all steps.  With ``renew``, ``observe`` or ``shake`` the samples stop together.
        renew : callable, optional
            Gets the layers computed in the last step, before every step but the first.
        observe : callable, optional
            Gets the number of every step, from 1, after it.
        shake : callable, optional
            Adds noise to the new states of a layer, as soon as they are computed.

        Returns
        -------
        float
            Steps taken, mean over the samples.
        """
        together = any(given is not None for given in (renew, observe, shake))
        whole = self.states, self.sums
        columns = np.arange(self.states.shape[1])
        moved = np.zeros(len(columns), dtype=bool)
        changed: set[int] = set()
        taken = 0
        for step in range(1, limit + 1):
            if renew is not None and step > 1:
                renew(changed)
            if shake is not None:
                self.stale.update(self.plan.rows)
            asked = tolerance if step % _EVERY in (_EVERY - 1, 0) else None
            changed = self._step(groups, asked, moved, shake)
            taken += len(columns)
            if observe is not None:
                observe(step)
            if tolerance is None or step % _EVERY or step == limit:
                continue
            left = np.count_nonzero(moved)
            if not left:
                break
            if not together and left <= _WORTH * len(columns):
                for all_samples, these in zip(whole, (self.states, self.sums), strict=True):
                    all_samples[:, columns] = these
                columns = columns[moved]
                tolerance = Tolerance(tolerance.layers, tolerance.samples[moved])
                self._keep(moved)
            moved = np.zeros(len(columns), dtype=bool)
        if len(columns) < whole[0].shape[1]:
            for all_samples, these in zip(whole, (self.states, self.sums), strict=True):
                all_samples[:, columns] = these
            self.states, self.sums = whole
        return taken / max(whole[0].shape[1], 1)

    def _step(
        self,
        groups: Sequence[Sequence[int]],
        tolerance: Tolerance | None,
        moved: NDArray[np.bool_],
        shake: Shake | None,
    ) -> set[int]:
        """Compute the layers that may change, mark samples that moved, and return those layers."""
        rows, changed = self.plan.rows, set[int]()
        for group in groups:
            due = [layer for layer in group if layer in self.stale]
            self.stale.difference_update(due)
            for layer in due:
                constant, returned = self.constant.get(layer), self.returned.get(layer)
                self.wiring.enter(layer, self.states, constant, self.sums[rows[layer]], returned)
            for layer in due:
                states = self.states[rows[layer]]
                if tolerance is None:
                    self._finish(rows[layer], states, shake)
                else:
                    fresh = self.wiring.scratch[: len(states)]
                    self._finish(rows[layer], fresh, shake)
                    states -= fresh
                    np.abs(states, out=states)
                    moved |= ~(states.max(axis=0) <= tolerance.layers[layer] * tolerance.samples)
                    states[...] = fresh
                self.wiring.renewed(layer)
                self.stale |= self.plan.readers[layer]
            changed.update(due)
        return changed

    def _finish(self, rows: slice, out: Array, shake: Shake | None) -> None:
        if self.slopes is None:
            self.activation(self.sums[rows], out)
        else:
            np.multiply(self.slopes[rows], self.sums[rows], out=out)
        if shake is not None:
            shake(out.T)

    def _keep(self, chosen: NDArray[np.bool_]) -> None:
        """Go on with some of the samples."""
        self.states, self.sums = self.states[:, chosen], self.sums[:, chosen]
        if self.slopes is not None:
            self.slopes = self.slopes[:, chosen]
        self.constant = {layer: part[:, chosen] for layer, part in self.constant.items()}
        self.returned = {layer: part[:, chosen] for layer, part in self.returned.items()}
        self.wiring.keep(chosen)
