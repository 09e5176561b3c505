"""What samples in flight, column banks and wide drains are worth: ``python docs/event_model.py``.

A model of the core that docs/next_core.md describes, for chains of layers in the offset form: an instruction occupies
the lanes for its beats, and begins when the words that it reads are written, group of neurons by group.  It knows no
gaps between instructions, takes every sample's nonzero words as spread evenly over the banks, and is replaced by
:class:`fregen.plan.CycleModel` as the parts are built.
"""

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

FORWARD, BACKWARD, LOGITS, ERROR = "forward", "backward", "logits", "error"
"""Words: states, offsets; what goes to the softmax unit, and what comes from it."""

WRITTEN = 34
"""Cycles from a tile's last beat until its first word can be read: lane 13, drain 3, neuron 12, memories 6."""
LEARNT = 21
"""Cycles from an update's last beat until its last weight can be read."""
SOFTMAX = 40
"""Cycles from the last logit to the last error, of ten classes."""


@dataclass(frozen=True)
class Network:
    """A chain: neurons a hidden layer, classes, input words, how many of them are not zero (mean, deviation)."""

    name: str
    hidden: tuple[int, ...]
    inputs: int
    nonzero: tuple[float, float]
    classes: int = 10
    free_sweeps: int = 2
    nudged_sweeps: int = 1
    batch: int = 16


@dataclass(frozen=True)
class Shape:
    """Rows of lanes a bank (P), banks (C), words that drain in a cycle (D), samples in flight (G)."""

    rows: int
    banks: int = 1
    drain: int = 1
    samples: int = 1


@dataclass(frozen=True)
class Instruction:
    """Beats of a tile; the words that it reads, ring or not; what its neurons become."""

    beats: int
    reads: tuple[str, int] | None
    writes: tuple[str, int]
    tile: int
    neurons: int


@dataclass
class Context:
    """A sample in flight: where it is in its program, and when each tile's words are there."""

    program: list[Instruction]
    at: int = 0
    ready: dict[tuple[str, int, int], int] = field(default_factory=dict)

    def begin(self, now: int, beats_a_group: int) -> int:
        """Cycle in which the next instruction may begin: group g is read ``g * beats_a_group`` beats later."""
        reads = self.program[self.at].reads
        waits = [t - g * beats_a_group for (kind, layer, g), t in self.ready.items() if (kind, layer) == reads]
        return max([now, *waits])


def groups(neurons: int, shape: Shape) -> int:
    """Tiles of a layer."""
    return -(-neurons // shape.rows)


def broadcast(words: float, shape: Shape) -> int:
    """Beats of a product whose columns are spread over the banks."""
    return max(1, round(-(-words // shape.banks)))


def ring(neurons: int, shape: Shape) -> int:
    """Beats of a transposed product for a tile of P neurons: a bank turns for the columns that it holds."""
    return groups(neurons, shape) * shape.rows // shape.banks


def program(net: Network, shape: Shape, nonzero: float, learns: bool) -> Iterator[Instruction]:
    """Instructions of a sample."""
    last = len(net.hidden) - 1

    def tiles(layer: int) -> Iterator[tuple[int, int]]:
        for tile in range(groups(net.hidden[layer], shape)):
            yield tile, min(shape.rows, net.hidden[layer] - tile * shape.rows)

    for sweep in range(net.free_sweeps):
        for layer in range(last + 1):
            for tile, neurons in tiles(layer):
                beats = broadcast(net.hidden[layer - 1], shape) if layer else 0
                if layer == 0 and sweep == 0:  # afterwards this sum is stored
                    beats = broadcast(nonzero, shape)
                if sweep and layer < last:
                    beats += ring(net.hidden[layer + 1], shape)
                reads = (FORWARD, layer - 1) if layer else (FORWARD, layer + 1) if sweep else None
                if beats:
                    yield Instruction(beats, reads, (FORWARD, layer), tile, neurons)
    yield Instruction(ring(net.hidden[last], shape), (FORWARD, last), (LOGITS, 0), 0, net.classes)
    for _ in range(net.nudged_sweeps if learns else 0):
        for layer in reversed(range(last + 1)):
            for tile, neurons in tiles(layer):
                if layer == last:
                    beats, reads = broadcast(net.classes, shape), (ERROR, 0)
                else:
                    beats, reads = ring(net.hidden[layer + 1], shape), (BACKWARD, layer + 1)
                yield Instruction(beats, reads, (BACKWARD, layer), tile, neurons)


def cycles(net: Network, shape: Shape, learns: bool = True, batches: int = 8, seed: int = 0) -> tuple[float, float]:
    """Return cycles and beats a sample."""
    draw = random.Random(seed)
    now, chain, softmax, beats = 0, 0, 0, 0
    for _ in range(batches):
        nonzero = [min(max(draw.gauss(*net.nonzero), 1), net.inputs) for _ in range(net.batch)]
        waiting = [Context(list(program(net, shape, words, learns))) for words in nonzero]
        flying: list[Context] = []
        done = now
        while waiting or flying:
            while waiting and len(flying) < shape.samples:
                flying.append(waiting.pop(0))
            # The oldest sample that may go on; where none may, the first that will.
            context = min(flying, key=lambda c: c.begin(now, shape.rows // shape.banks or 1))
            instruction = context.program[context.at]
            begin = context.begin(now, shape.rows // shape.banks or 1)
            last = max(begin + instruction.beats - 1, chain)
            chain = last - (-instruction.neurons // shape.drain)
            beats += instruction.beats
            kind, layer = instruction.writes
            written = chain + WRITTEN
            if kind == LOGITS:
                softmax = max(written, softmax) + SOFTMAX
                kind, written = ERROR, softmax
            context.ready[kind, layer, instruction.tile] = written
            now, context.at = last + 1, context.at + 1
            if context.at == len(context.program):
                flying.remove(context)
                done = max(done, written)
        if learns:
            sizes = (*net.hidden, net.classes)
            updates = sum(broadcast(words, shape) for words in nonzero) * groups(net.hidden[0], shape)
            for columns, rows in itertools.pairwise(sizes):
                # The output layer is stored transposed: its rows are the last hidden layer's neurons.
                rows, columns = (columns, rows) if rows == net.classes else (rows, columns)
                updates += broadcast(columns, shape) * groups(rows, shape) * net.batch
            beats += updates
            now = max(now, done) + updates + LEARNT
    samples = net.batch * batches
    return now / samples, beats / samples


MNIST = Network("MNIST 784-64-64-10, 2 + 1 sweeps", (64, 64), 784, (149.9, 40))
NETWORKS = (
    (MNIST, (Shape(16), Shape(64, drain=4), Shape(16, 4, 4))),
    (replace(MNIST, name="MNIST, 1 + 1 sweeps", free_sweeps=1), (Shape(16, 8, 4), Shape(32, 4, 4), Shape(64, 2, 4))),
    (Network("digits 64-32-32-10, 2 + 1 sweeps", (32, 32), 64, (32.7, 6)), (Shape(16),)),
)


def main() -> None:
    """Print a table in Markdown."""
    print("| network | P | C | D | beats, learnt | G = 1 | G = 2 | G = 4 | beats, inferred | G = 1 | G = 2 | G = 4 |")
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    for net, shapes in NETWORKS:
        for shape in shapes:
            cells = [net.name, shape.rows, shape.banks, shape.drain]
            for learns in (True, False):
                found = [cycles(net, replace(shape, samples=count), learns) for count in (1, 2, 4)]
                cells += [round(found[0][1]), *(round(total) for total, _ in found)]
            print("| " + " | ".join(map(str, cells)) + " |")


if __name__ == "__main__":
    main()
