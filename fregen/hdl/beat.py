"""The beat: everything that one cycle of work tells the pipeline, and the sizes that units share."""

from dataclasses import dataclass
from functools import cached_property

from amaranth.lib import data

from ..plan import MemoryMap, Pipeline, Schedule
from ..spec.network import NetworkSpec

__all__ = ["RATE_WIDTH", "Sizes", "beat_layout", "bits"]

RATE_WIDTH = 4
"""Bits of the rate register: k of a learning rate ``2**-k``."""


def bits(count: int) -> int:
    """Bits of a number below ``count``; at least 1."""
    return max((count - 1).bit_length(), 1)


@dataclass(frozen=True)
class Sizes:
    """Widths of the hardware's buses, derived from plan and spec."""

    schedule: Schedule

    @property
    def memory(self) -> MemoryMap:
        """Addresses."""
        return self.schedule.memory

    @property
    def pipeline(self) -> Pipeline:
        """Depth of the pipeline."""
        return self.schedule.pipeline

    @property
    def spec(self) -> NetworkSpec:
        """Formats."""
        return self.memory.spec

    @property
    def lanes(self) -> int:
        """P."""
        return self.memory.lanes

    @property
    def lane_bits(self) -> int:
        """Bits that number the lanes; 0 for a single lane."""
        return (self.lanes - 1).bit_length()

    @property
    def state_width(self) -> int:
        """Bits of a word of the state memory."""
        return self.spec.state.width

    @property
    def offset_width(self) -> int:
        """Bits of a word of the offset memory: contrast or error."""
        return max(self.spec.delta_width, self.spec.error.width)

    @property
    def word_width(self) -> int:
        """Bits of a word of either vector memory."""
        return max(self.state_width, self.offset_width)

    @cached_property
    def sum_width(self) -> int:
        """Bits of a lane's accumulator: sums, and summed products of an update."""
        return max(self.spec.sum_width, self.update_width)

    @cached_property
    def update_width(self) -> int:
        """Bits of the summed products of an update, of any matrix."""
        return max(self.spec.update_width(matrix) for matrix in self.spec.graph.learned)

    @property
    def weight_address(self) -> int:
        """Bits of a weight address."""
        return bits(self.memory.weight_depth)

    @property
    def plane_bits(self) -> int:
        """Bits that number the planes."""
        return bits(self.memory.planes)

    @property
    def local_bits(self) -> int:
        """Bits of an address within a plane."""
        return (self.memory.plane_size - 1).bit_length()

    @property
    def vector_address(self) -> int:
        """Bits of a vector memory's address."""
        return self.plane_bits + self.local_bits

    @property
    def slot_bits(self) -> int:
        """Bits that number the slots."""
        return bits(self.memory.slots)

    @property
    def input_bits(self) -> int:
        """Bits that number the inputs."""
        return bits(self.memory.input_size)

    @property
    def drive_bits(self) -> int:
        """Bits of a drive address."""
        return bits(self.memory.hidden_groups)

    @property
    def shift_bits(self) -> int:
        """Bits of the number of a shift among ``schedule.shifts``."""
        return bits(len(self.schedule.shifts))

    @property
    def neuron_bits(self) -> int:
        """Bits that number hidden neurons or classes."""
        return bits(max(self.memory.hidden_neurons, self.spec.softmax.classes))

    @property
    def label_bits(self) -> int:
        """Bits of a label."""
        return bits(self.spec.softmax.classes)

    @property
    def sigma(self) -> tuple[int, int]:
        """Least and greatest right shift of an update, over all matrices and rates."""
        low, high = self.schedule.sigmas
        return low, high + (1 << RATE_WIDTH) - 1

    @property
    def sigma_bits(self) -> int:
        """Bits of a shift above the least one."""
        return (self.sigma[1] - self.sigma[0]).bit_length()

    @property
    def column_bits(self) -> int:
        """Bits of a dither column id."""
        last = self.spec.graph.matrices[-1]
        return bits(self.spec.column_id(last) + self.memory.stored_shape(last)[1])

    @property
    def group_bits(self) -> int:
        """Bits of a row group."""
        return bits(max(self.memory.groups(self.memory.stored_shape(m)[0]) for m in self.spec.graph.matrices))


def beat_layout(sizes: Sizes) -> data.StructLayout:
    """Layout of a beat, as the sequencer issues it.

    ``valid`` marks a multiplication; ``drain``, ``save`` ride on the last beat of a product, ``last`` on the last
    sample of an updated weight.  Addresses are complete except that ``weight`` lacks the input's index when
    ``from_list`` is set.
    """
    return data.StructLayout(
        {
            "valid": 1,
            "update": 1,
            "ring": 1,
            "from_list": 1,
            "null": 1,
            "weight": sizes.weight_address,
            "rotate": max(sizes.lane_bits, 1),
            "state": sizes.vector_address,
            "offset": sizes.vector_address,
            "select": max(sizes.lane_bits, 1),
            "shared_is_offset": 1,
            "shared_is_input": 1,
            "own_is_offset": 1,
            "slot": sizes.slot_bits,
            "index": sizes.input_bits,
            "rows": bits(sizes.lanes + 1),
            "columns": bits(sizes.lanes + 1),
            "shift": sizes.shift_bits,
            "clear": 1,
            "load": 1,
            "save": 1,
            "drive": sizes.drive_bits,
            "last": 1,
            "sigma": max(sizes.sigma_bits, 1),
            "column": sizes.column_bits,
            "group": sizes.group_bits,
            "drain": 2,
            "drain_count": bits(sizes.lanes + 1),
            "target": sizes.vector_address,
            "neuron": sizes.neuron_bits,
            "first": 1,
            "wants_error": 1,
            "copy": 1,
            "keep": 1,
            "subtract": 1,
            "move_to_offsets": 1,
        }
    )
