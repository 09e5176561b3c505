"""What a core needs of a part, from the plan alone: memory bits and multipliers.  A test holds it to yosys's count."""

from dataclasses import dataclass

from .beat import Sizes
from .bits import bits
from .program import instruction_layout

__all__ = ["Footprint", "footprint"]


@dataclass(frozen=True)
class Footprint:
    """Memories and multipliers.

    Parameters
    ----------
    multipliers : int
        One a lane, of a weight and a state, and one an activation; two more: softmax, count of useful multiplications.
    memories : dict of str to int
        Bits by memory; of those that each lane has, of all lanes together.
    """

    multipliers: int
    memories: dict[str, int]

    @property
    def memory_bits(self) -> int:
        """Bits of all memories."""
        return sum(self.memories.values())


def footprint(sizes: Sizes) -> Footprint:
    """Count what a core needs; not rounded up to blocks of memory, which families have in different sizes."""
    spec, memory, lanes = sizes.spec, sizes.memory, sizes.lanes
    table, softmax, rows = spec.activation, spec.softmax, 1 << sizes.input_bits
    neurons = sizes.drain << (bits(memory.kept_words) + sizes.context_bits)
    logits = sizes.contexts << bits(softmax.classes) if sizes.contexts > 1 else max(softmax.classes, 2)
    drives = 1 << sizes.drive_bits if sizes.contexts > 1 else max(memory.hidden_groups, 2)
    instructions = 1 << (len(sizes.schedule.instructions) - 1).bit_length()
    exponential = softmax.exponential.frac_bits + 1
    memories = {
        "weights": lanes * memory.weight_depth * spec.weight.width,
        "drives": lanes * drives * sizes.sum_width,
        "states": lanes * memory.planes * memory.state_plane_size * sizes.state_width,
        "offsets": lanes * memory.planes * memory.plane_size * sizes.offset_width,
        "samples": rows * (memory.slots * sizes.state_width + memory.slots + (sizes.contexts + 1) * sizes.input_bits),
        "neurons": neurons * (sizes.word_width + (table.slope_width if spec.has_offsets else 0)),
        "logits": logits * softmax.sum_width + max(softmax.classes, 2) * exponential,
        "tables": (len(softmax.exponential.words) * exponential)
        + len(softmax.reciprocal.words) * (softmax.reciprocal.frac_bits + 1),
        "schedule": sizes.contexts * instructions * instruction_layout(sizes.schedule).size,
    }
    if table.segments > 1:
        memories["tables"] += sizes.drain * table.segments * (table.knot_width + table.slope_width)
    return Footprint(lanes + sizes.drain + 2, memories)
