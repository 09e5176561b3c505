"""Where every word lives in the hardware.

P lanes stand side by side.  Row i of a stored matrix lives in lane ``i mod P``; a vector of n words takes ``ceil(n /
P)`` addresses of a memory that is P words wide, word i in lane ``i mod P``.
"""

from dataclasses import dataclass
from functools import cached_property

from ..design.graph import Matrix
from ..spec.network import NetworkSpec

__all__ = ["MemoryMap"]


@dataclass(frozen=True)
class MemoryMap:
    """Addresses of weights, vectors and drives.

    Vector memories are cut into *planes* of equal size: one a sample slot, then for every sample in flight one for the
    nudged states (or the recomputed error), then for each one for the next states of a synchronous step.  Their address
    is ``plane * plane_size + local``.

    Parameters
    ----------
    spec : NetworkSpec
        Sizes and formats.
    """

    spec: NetworkSpec

    @property
    def lanes(self) -> int:
        """P."""
        return self.spec.design.hardware.lanes

    def groups(self, words: int) -> int:
        """Addresses that a vector of so many words takes."""
        return -(-words // self.lanes)

    def tile(self, words: int, index: int) -> int:
        """Words in one group of a vector: P, or what is left."""
        return min(self.lanes, words - index * self.lanes)

    # Weights ---------------------------------------------------------------------------------------------

    def stored_shape(self, matrix: Matrix) -> tuple[int, int]:
        """Return stored rows and columns of a matrix."""
        rows, columns = self.spec.stored(matrix)
        return self.spec.graph.layers[rows].size, self.spec.graph.layers[columns].size

    def is_transposed(self, matrix: Matrix) -> bool:
        """Whether a matrix is stored transposed (rows are its source's neurons)."""
        return self.spec.stored(matrix)[0] != matrix.target

    def row_stride(self, matrix: Matrix) -> int:
        """Addresses between two row groups of a matrix: its columns, rounded up to lanes so that tiles are aligned."""
        return self.groups(self.stored_shape(matrix)[1]) * self.lanes

    @cached_property
    def weight_bases(self) -> tuple[int, ...]:
        """First address of every matrix."""
        bases, at = [], 0
        for matrix in self.spec.graph.matrices:
            bases.append(at)
            at += self.groups(self.stored_shape(matrix)[0]) * self.row_stride(matrix)
        return (*bases, at)

    @property
    def weight_depth(self) -> int:
        """Addresses of a lane's weight memory."""
        return self.weight_bases[-1]

    # Vectors ---------------------------------------------------------------------------------------------

    @cached_property
    def vector_bases(self) -> tuple[int, ...]:
        """Local address of every hidden layer's vector (0 for the input, which is kept apart), then of the error."""
        bases, at = [0], 0
        for layer in self.spec.graph.hidden:
            bases.append(at)
            at += self.groups(layer.size)
        return (*bases, at)

    @property
    def hidden_groups(self) -> int:
        """Addresses that one vector of all hidden neurons takes."""
        return self.vector_bases[self.spec.graph.output]

    @property
    def plane_size(self) -> int:
        """Addresses of a plane: hidden layers and error, rounded up to a power of two."""
        used = self.hidden_groups + self.groups(self.spec.graph.layers[-1].size)
        return 1 << (used - 1).bit_length()

    @property
    def state_plane_size(self) -> int:
        """Addresses of a plane of the states' memory, which holds no error: a power of two too."""
        return 1 << (self.hidden_groups - 1).bit_length()

    @property
    def drain(self) -> int:
        """D: neurons that leave the lanes in a cycle."""
        return self.spec.design.hardware.drain

    @property
    def kept_words(self) -> int:
        """Words that each of the D activations keeps of a kind, for one sample: D neurons of a row share an address."""
        return self.hidden_groups * (self.lanes // self.drain)

    # Slots -----------------------------------------------------------------------------------------------

    @property
    def contexts(self) -> int:
        """G: samples in flight at once."""
        return self.spec.design.hardware.samples

    @property
    def slots(self) -> int:
        """Samples held at once: a batch, those in flight that are not of it, and one that streams in meanwhile."""
        return self.spec.design.learning.batch + self.contexts

    @property
    def planes(self) -> int:
        """Planes of a vector memory."""
        return self.slots + 2 * self.contexts

    @property
    def scratch_plane(self) -> int:
        """First context's plane of nudged states and of the recomputed error; the others' follow."""
        return self.slots

    @property
    def next_plane(self) -> int:
        """First context's plane that a synchronous step writes; the others' follow."""
        return self.slots + self.contexts

    @property
    def input_size(self) -> int:
        """Words of an input sample."""
        return self.spec.graph.layers[0].size

    @property
    def words(self) -> int:
        """W: input words in a beat of the sample stream."""
        return self.spec.design.hardware.words

    @property
    def sample_beats(self) -> int:
        """Beats of the stream that a sample takes; what the last one has beyond the sample is ignored."""
        return -(-self.input_size // self.words)
