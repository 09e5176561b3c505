"""The beat: everything that one cycle of work tells the pipeline, and the sizes that units share."""

from dataclasses import dataclass
from functools import cached_property

from amaranth.lib import data

from ..design.document import RATE_WIDTH
from ..plan import Drain, MemoryMap, Pipeline, Schedule
from ..spec.network import NetworkSpec
from .bits import bits

__all__ = ["Sizes", "beat_layout"]


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
    def contexts(self) -> int:
        """G: samples in flight."""
        return self.memory.contexts

    @property
    def context_bits(self) -> int:
        """Bits that number the samples in flight; 0 for a single one."""
        return (self.contexts - 1).bit_length()

    @property
    def drain(self) -> int:
        """D: neurons that leave the lanes in a cycle."""
        return self.memory.drain

    @property
    def drain_bits(self) -> int:
        """Bits that number them; 0 for a single one."""
        return (self.drain - 1).bit_length()

    @property
    def bank_bits(self) -> int:
        """Bits that number the lists of nonzero words: of the samples in flight, and of the one that streams in."""
        return bits(self.contexts + 1)

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
        """Bits that number the inputs, and the words of a beat of the sample stream."""
        return max(bits(self.memory.input_size), self.place_bits + 1)

    @property
    def place_bits(self) -> int:
        """Bits that number the words of a beat of the sample stream; 0 for a single one."""
        return (self.memory.words - 1).bit_length()

    @property
    def count_bits(self) -> int:
        """Bits of a position within an instruction, and of how many there are."""
        most = max(instruction.count for instruction in self.schedule.instructions)
        return bits(max(most, self.memory.input_size) + 1)

    @property
    def drive_bits(self) -> int:
        """Bits of a drive address: of a group of hidden neurons, and of the sample in flight above."""
        return bits(self.memory.hidden_groups) + self.context_bits

    @property
    def shift_bits(self) -> int:
        """Bits of the number of a shift among ``schedule.shifts``."""
        return bits(len(self.schedule.shifts))

    @property
    def neuron_bits(self) -> int:
        """Bits that number words that an activation keeps, or classes."""
        return bits(max(self.memory.kept_words, self.spec.softmax.classes))

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
    """Layout of a beat, as the sequencer issues it; a group of fields is read in one stage, what stands alone in many.

    ``valid`` marks a multiplication, of an ``update`` or, if ``ring``, with sums that wander.  ``weight``, ``drive``
    and ``target`` are addresses, complete except that ``weight`` lacks the input's index if ``memory.from_list``;
    ``context`` is the sample in flight that it is for.

    ``memory``
        Addresses of operands.
    ``operands``
        The memories have answered: what all lanes share, what is a lane's own; ``null`` multiplies by 0.
    ``move``
        Likewise: what to do with whole rows.
    ``align``, ``add``
        Place of the product; what it is added to.
    ``total``
        The sum is there: ``save`` it as the tile's drive, with the last beat of a product; right shift of an update.
    ``dither``
        Which weight is learnt.
    ``learn``
        ``last`` sample of an updated weight.
    ``tile``
        With the last beat of a tile: where it drains to, and what it is.
    """
    lane, address = max(sizes.lane_bits, 1), sizes.vector_address
    flag = 1
    return data.StructLayout(
        {
            "valid": flag,
            "update": flag,
            "ring": flag,
            "context": max(sizes.context_bits, 1),
            "weight": sizes.weight_address,
            "drive": sizes.drive_bits,
            "target": address,
            "memory": data.StructLayout(
                {
                    "rotate": lane,
                    "from_list": flag,
                    "state": address,
                    "offset": address,
                    "slot": sizes.slot_bits,
                    "index": sizes.input_bits,
                }
            ),
            "operands": data.StructLayout(
                {
                    "null": flag,
                    "select": lane,
                    "shared_is_offset": flag,
                    "shared_is_input": flag,
                    "own_is_offset": flag,
                }
            ),
            "move": data.StructLayout(dict.fromkeys(("copy", "keep", "subtract", "to_offsets"), flag)),
            "align": data.StructLayout({"shift": sizes.shift_bits}),
            "add": data.StructLayout({"clear": flag, "load": flag}),
            "total": data.StructLayout({"save": flag, "sigma": max(sizes.sigma_bits, 1)}),
            "dither": data.StructLayout({"column": sizes.column_bits, "group": sizes.group_bits}),
            "learn": data.StructLayout({"last": flag}),
            "tile": data.StructLayout(
                {
                    "drain": Drain,
                    "drain_count": bits(sizes.lanes + 1),
                    "neuron": sizes.neuron_bits,
                    "first": flag,
                    "wants_error": flag,
                }
            ),
        }
    )
