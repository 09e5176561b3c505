"""Noise on weights and states while learning (docs/method.md, "Published results").

Learning reads noisy words, inference clean ones.  Two streams, one for weights and one for states, depend on the
design's seed and on nothing but how much was drawn before: the same batches in the same order learn the same weights.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..design.document import Design

__all__ = ["Noise", "Shake"]

Array = NDArray[Any]
Shake = Callable[[Array], object]
"""Adds noise to an array, in place."""


class Noise:
    """Gaussian noise of a design; without any it draws nothing and copies nothing.

    Parameters
    ----------
    design : Design
        ``learning.weight_noise``, ``learning.state_noise`` and the seed; the generators are
        ``np.random.default_rng([seed, 6])`` for weights and ``[seed, 7]`` for states.

    Attributes
    ----------
    shake : callable or None
        Adds noise of standard deviation ``state_noise`` to a float32 or float64 array in place; None without noise.
    """

    def __init__(self, design: Design) -> None:
        self._seed = design.seed
        self._weight, self._state = design.learning.weight_noise, design.learning.state_noise
        self.shake: Shake | None = self._shake if self._state else None
        self.reset()

    def reset(self) -> None:
        """Return to the first draw."""
        self._weight_stream = np.random.default_rng([self._seed, 6])
        self._state_stream = np.random.default_rng([self._seed, 7])

    def memory(self) -> dict[str, Array]:
        """Return where the two streams stand, as JSON texts; empty without noise."""
        if not self._weight and self.shake is None:
            return {}
        streams = {"weight_stream": self._weight_stream, "state_stream": self._state_stream}
        return {name: np.array(json.dumps(stream.bit_generator.state)) for name, stream in streams.items()}

    def recall(self, memory: Mapping[str, Array]) -> None:
        """Go on where :meth:`memory` was called."""
        self.reset()
        if memory:
            self._weight_stream.bit_generator.state = json.loads(str(memory["weight_stream"]))
            self._state_stream.bit_generator.state = json.loads(str(memory["state_stream"]))

    def weights(self, clean: Sequence[Array]) -> Sequence[Array]:
        """Return the weights as one batch reads them; every call draws anew.

        Parameters
        ----------
        clean : sequence of arrays
            float32 or float64; they are not changed.

        Returns
        -------
        sequence of arrays
            Each matrix W plus noise of standard deviation ``weight_noise * max|W|``, shape and type as given; without
            noise the same sequence.
        """
        if not self._weight:
            return clean
        noisy = []
        for matrix in clean:
            drawn = self._weight_stream.standard_normal(matrix.shape, dtype=matrix.dtype.type)
            drawn *= self._weight * float(np.abs(matrix).max(initial=0))
            drawn += matrix
            noisy.append(drawn)
        return noisy

    def _shake(self, state: Array) -> None:
        drawn = self._state_stream.standard_normal(state.shape, dtype=state.dtype.type)
        drawn *= self._state
        state += drawn
