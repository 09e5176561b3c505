"""A record of every word that a network computed, in the order in which the hardware writes them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..spec.network import NetworkSpec

__all__ = ["Trace"]

Kind = Literal["states", "nudged"]


@dataclass
class Trace:
    """Collect what :class:`~fregen.golden.network.NetworkModel` computes: one entry of every list a batch.

    Neurons of an array with all hidden layers lie layer by layer: from the input up in ``states`` and ``contrast``,
    from the output down in ``nudged`` (the order in which a phase reports them), ascending within a layer.  Steps that
    a sample no longer executed repeat its last words; the ``*_steps`` say where it ended.

    Attributes
    ----------
    states : list of (n, T_b, neurons) int32 arrays
        State words after every free step.
    free_steps : list of (n,) int64 arrays
        Steps that each sample executed.
    predictions : list of (n,) int64 arrays
        Class of the greatest logit.
    logits : list of (n, classes) int64 arrays
        Sums of the output layer after the free phase.
    nonzero : list of (n,) int64 arrays
        Input words that are not 0.
    errors : list of (n, classes) int32 arrays
        Error words of the free phase (batches that learn only, as all below).
    nudged : list of (n, K_b, neurons) int32 arrays
        State or offset words after every nudged step.
    nudged_steps : list of (n,) int64 arrays
        Steps that each sample executed.
    nudged_errors : list of (n, K_b, classes) int32 arrays
        Error words that every step used; filled if the error is recomputed.
    contrast : list of (n, neurons) int32 arrays
        Offset words, or differences of nudged and free state words.
    weights : list of lists of int32 arrays
        Matrices after the update, by index, shape (target, source).
    saturations : list of (int, int)
        Saturated weight words and offset words of the batch.
    """

    states: list[NDArray[np.int32]] = field(default_factory=list)
    free_steps: list[NDArray[np.int64]] = field(default_factory=list)
    predictions: list[NDArray[np.int64]] = field(default_factory=list)
    logits: list[NDArray[np.int64]] = field(default_factory=list)
    nonzero: list[NDArray[np.int64]] = field(default_factory=list)
    errors: list[NDArray[np.int32]] = field(default_factory=list)
    nudged: list[NDArray[np.int32]] = field(default_factory=list)
    nudged_steps: list[NDArray[np.int64]] = field(default_factory=list)
    nudged_errors: list[NDArray[np.int32]] = field(default_factory=list)
    contrast: list[NDArray[np.int32]] = field(default_factory=list)
    weights: list[list[NDArray[np.int32]]] = field(default_factory=list)
    saturations: list[tuple[int, int]] = field(default_factory=list)
    _layers: dict[str, tuple[tuple[int, int], ...]] = field(default_factory=dict, repr=False)

    def bind(self, spec: NetworkSpec) -> None:
        """Learn which neuron belongs to which layer; the model that fills the trace calls this.

        Raises
        ------
        DataError
            If a network of other layers has already filled the trace.
        """
        sizes = {layer.index: layer.size for layer in spec.graph.layers}
        layers = {
            "states": tuple((index, sizes[index]) for index in spec.free_order),
            "nudged": tuple((index, sizes[index]) for index in spec.nudged_order),
        }
        if self._layers and self._layers != layers:
            raise DataError(
                f"a trace holds one network: expected hidden layers {self._layers['states']}, not {layers['states']}"
            )
        self._layers = layers

    def by_layer(self, kind: Kind, words: NDArray[Any]) -> dict[int, NDArray[Any]]:
        """Part words of all hidden layers, which lie in the last axis, by layer index.

        Parameters
        ----------
        kind : {"states", "nudged"}
            Order in which they lie: from the input up (contrast words too), or from the output down.
        words : (..., neurons) array
            Of this trace.
        """
        layers = self._layers[kind]
        ends = np.cumsum([size for _, size in layers])[:-1]
        return dict(zip((index for index, _ in layers), np.split(words, ends, axis=-1), strict=True))

    def _kept(self, kind: Kind) -> tuple[Sequence[NDArray[Any]], Sequence[NDArray[np.int64]]]:
        if kind == "states":
            return self.states, self.free_steps
        if kind == "nudged":
            return self.nudged, self.nudged_steps
        raise DataError(f"a trace keeps the words 'states' and 'nudged' in order, not {kind!r}")

    def _flat(self, kind: Kind) -> NDArray[np.int32]:
        words, steps = self._kept(kind)
        parts = []
        for batch, ends in zip(words, steps, strict=True):
            executed = np.arange(batch.shape[1]) < ends[:, None]
            parts.append(batch[executed].reshape(-1))
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.int32)

    def flat_states(self) -> NDArray[np.int32]:
        """Words written in free steps: by sample, executed step, layer from the input up, neuron."""
        return self._flat("states")

    def flat_nudged(self) -> NDArray[np.int32]:
        """Words written in nudged steps: by sample, executed step, layer from the output down, neuron."""
        return self._flat("nudged")

    def locate(self, kind: Kind, flat_index: int) -> tuple[int, int, int, int]:
        """Name the word at a place of :meth:`flat_states` (``"states"``) or :meth:`flat_nudged` (``"nudged"``).

        Returns
        -------
        (sample, step, layer, neuron)
            Sample counted over all batches, step counted from 0, index of the layer, neuron within it.

        Raises
        ------
        DataError
            If there are fewer words.
        """
        _, steps = self._kept(kind)
        neurons = sum(size for _, size in self._layers.get(kind, ()))
        ends = np.cumsum(np.concatenate([np.zeros(1, dtype=np.int64), *steps])) * neurons
        if not 0 <= flat_index < ends[-1]:
            raise DataError(f"the trace holds {ends[-1]} {kind} words; there is no word {flat_index}")
        sample = int(np.searchsorted(ends, flat_index, side="right")) - 1
        step, place = divmod(int(flat_index - ends[sample]), neurons)
        for layer, size in self._layers[kind]:
            if place < size:
                return sample, step, layer, place
            place -= size
        raise AssertionError("unreachable: layers hold every neuron")
