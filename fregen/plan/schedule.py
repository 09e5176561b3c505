"""The schedule: what the sequencer does, compiled from the graph.

Seven programs, each a list of instructions; which one follows which is the sequencer's business.  Topologies are data
here: a layer's sums come from its products, whatever graph made them.

Three exact savings are made at compile time.  What is known to be zero (all states before the first step) is not
multiplied.  What stays the same through a phase (``W_0 s_0``, a held error) is summed once, saved as the tile's
*drive*, and loaded from then on.  And a product that must wait for results of the step itself comes last among those
of its tile.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import cached_property

from ..design.graph import Matrix
from ..spec.network import NetworkSpec, Operand, Product
from .instruction import Drain, Feed, Instruction, Op, Plane, Start, Store
from .memory_map import MemoryMap
from .pipeline import PIPELINES, PORTABLE, Pipeline

__all__ = ["Program", "Schedule"]


class Program(IntEnum):
    """The programs of a schedule."""

    FREE_FIRST = 0
    FREE_STEP = 1
    PREDICT = 2
    """Readout of a sample that is only inferred."""
    READOUT = 3
    """Readout with the error of a sample that is learnt."""
    NUDGED_FIRST = 4
    NUDGED_STEP = 5
    CONTRAST = 6
    """Difference of nudged and free states; empty in the ``offset`` form."""
    UPDATE = 7


@dataclass
class _Compiler:
    """Emits one program; keeps what has been written since the pipeline last ran empty."""

    memory: MemoryMap
    pipeline: Pipeline
    instructions: list[Instruction] = field(default_factory=list)
    fresh: set[tuple[Store, Plane, int]] = field(default_factory=set)

    def emit(self, instruction: Instruction, reads: tuple[Store, Plane, int] | None = None) -> None:
        sync = reads in self.fresh
        if sync:
            self.fresh.clear()
        self.instructions.append(replace(instruction, sync=instruction.sync or sync))

    def layer(
        self,
        target: int,
        products: list[tuple[Product, Plane]],
        start: Start,
        saved: int,
        drain: Drain,
        target_plane: Plane,
        first: bool = False,
        wants_error: bool = False,
    ) -> None:
        """All tiles of a layer; the first ``saved`` products make its drive."""
        memory = self.memory
        output = memory.spec.graph.output
        size = memory.spec.graph.layers[target].size
        store = Store.STATES if drain is Drain.STATE else Store.OFFSETS
        for tile in range(memory.groups(size)):
            sources = [(p, plane, (_store(p), plane, p.source)) for p, plane in products]
            rest = sorted(sources[saved:], key=lambda item: item[2] in self.fresh)
            instructions = [(self._product(p, plane, tile), reads) for p, plane, reads in sources[:saved] + rest]
            if not instructions:
                instructions = [(Instruction(Op.PRODUCT, Feed.NOTHING), (Store.STATES, Plane.SLOT, 0))]
            neurons = memory.tile(size, tile)
            leaving = neurons if drain is Drain.SOFTMAX else -(-neurons // memory.drain)
            wait = self.pipeline.word_wait(leaving)
            makes_error = wants_error and tile == memory.groups(size) - 1
            if drain is Drain.SOFTMAX:
                wait = self.pipeline.error_wait(neurons, size) if makes_error else 0
            if memory.contexts > 1:
                instructions = self._waiting_first(instructions)
            for index, (instruction, reads) in enumerate(instructions):
                is_final = index == len(instructions) - 1
                self.emit(
                    replace(
                        instruction,
                        start=start if index == 0 else Start.KEEP,
                        save=index == saved - 1,
                        drive=0 if target == output else memory.vector_bases[target] + tile,
                        drain=drain if is_final else Drain.NONE,
                        drain_count=neurons,
                        drain_cycles=leaving,
                        target_plane=target_plane,
                        target=memory.vector_bases[target] + tile,
                        neuron=self._neuron(target, tile),
                        first=first,
                        wants_error=makes_error,
                        wait=wait if is_final else 0,
                    ),
                    reads,
                )
        self.fresh.add((store, target_plane, target))

    def _neuron(self, target: int, tile: int) -> int:
        """Return the first class of a tile of logits, or where words of a hidden tile's first neurons are kept."""
        memory = self.memory
        if target == memory.spec.graph.output:
            return tile * memory.lanes
        return (memory.vector_bases[target] + tile) * (memory.lanes // memory.drain)

    def _waiting_first(
        self, instructions: list[tuple[Instruction, tuple[Store, Plane, int]]]
    ) -> list[tuple[Instruction, tuple[Store, Plane, int]]]:
        """Let a tile wait for all that it reads before its first beat: within a tile no other sample can go on."""
        fresh = next((reads for _, reads in instructions if reads in self.fresh), instructions[0][1])
        return [(instructions[0][0], fresh), *instructions[1:]]

    def _product(self, product: Product, plane: Plane, tile: int) -> Instruction:
        memory = self.memory
        matrix = memory.spec.graph.matrices[product.matrix]
        base, stride = memory.weight_bases[matrix.index], memory.row_stride(matrix)
        source = memory.spec.graph.layers[product.source].size
        target = memory.spec.graph.layers[product.target].size
        common = Instruction(
            Op.PRODUCT,
            store=_store(product),
            plane=plane,
            vector=memory.vector_bases[product.source] if product.operand is not Operand.INPUT else 0,
            stride=stride,
            shift=product.shift,
        )
        if product.transposed == memory.is_transposed(matrix):
            feed = Feed.INPUT if product.operand is Operand.INPUT else Feed.BROADCAST
            rows = memory.tile(target, tile)
            return replace(common, feed=feed, weight=base + tile * stride, count=source, last_rows=rows)
        groups = memory.groups(source)
        return replace(
            common,
            feed=Feed.RING,
            weight=base + tile * memory.lanes,
            groups=groups,
            last_rows=memory.tile(source, groups - 1),
            last_columns=memory.tile(target, tile),
        )

    def commit(self, store: Store, plane: Plane) -> None:
        """End a synchronous step: move the next vectors to where they are read."""
        count, stops = self.memory.hidden_groups, self.memory.spec.design.learning.stop
        self.emit(
            Instruction(
                Op.COPY,
                store=store,
                plane=Plane.NEXT,
                count=count,
                target_plane=plane,
                sync=True,
                wait=self.pipeline.copy_wait(count, stops),
            )
        )


def _store(product: Product) -> Store:
    return Store.OFFSETS if product.operand in (Operand.OFFSET, Operand.ERROR) else Store.STATES


@dataclass(frozen=True)
class Schedule:
    """All programs of a design.

    Parameters
    ----------
    memory : MemoryMap
        Addresses.
    pipeline : Pipeline, optional
        Depth of the hardware's pipeline: gives the waits.
    """

    memory: MemoryMap
    pipeline: Pipeline = PORTABLE

    @classmethod
    def of(cls, spec: NetworkSpec, pipeline: Pipeline | None = None) -> "Schedule":
        """Compile the schedule of a network."""
        return cls(MemoryMap(spec), pipeline or PIPELINES[spec.design.hardware.family])

    @property
    def spec(self) -> NetworkSpec:
        """The network."""
        return self.memory.spec

    @cached_property
    def programs(self) -> dict[Program, tuple[Instruction, ...]]:
        """Instructions of every program; the last of each has ``end``."""
        compiled = {
            Program.FREE_FIRST: self._free(first=True),
            Program.FREE_STEP: self._free(first=False),
            Program.PREDICT: self._readout(wants_error=False),
            Program.READOUT: self._readout(wants_error=True),
            Program.NUDGED_FIRST: self._nudged(first=True),
            Program.NUDGED_STEP: self._nudged(first=False),
            Program.CONTRAST: self._contrast(),
            Program.UPDATE: self._update(),
        }
        return {
            name: self._ended(name, instructions) if instructions else () for name, instructions in compiled.items()
        }

    def _ended(self, name: Program, instructions: list[Instruction]) -> tuple[Instruction, ...]:
        """Mark the last instruction: it waits for what the end of its program needs, instead of for readers."""
        last, pipeline = instructions[-1], self.pipeline
        wait = last.wait
        if name is Program.PREDICT:
            wait = pipeline.prediction_wait(last.drain_cycles)
        elif name is Program.READOUT:
            wait = pipeline.readout_wait(last.drain_cycles, self.spec.softmax.classes)
        elif last.op is Op.PRODUCT:
            stops = self.spec.design.learning.stop
            wait = pipeline.change_wait(last.drain_cycles) if stops else pipeline.step_wait(last.drain_cycles)
        return (*instructions[:-1], replace(last, wait=wait, end=True))

    @cached_property
    def starts(self) -> dict[Program, int]:
        """Address of every program's first instruction."""
        starts, at = {}, 0
        for name, instructions in self.programs.items():
            starts[name] = at
            at += len(instructions)
        return starts

    @cached_property
    def instructions(self) -> tuple[Instruction, ...]:
        """All instructions, program after program."""
        return tuple(instruction for instructions in self.programs.values() for instruction in instructions)

    @cached_property
    def shifts(self) -> tuple[int, ...]:
        """The left shifts that occur, rising; 0 is always there (updates use it)."""
        return tuple(sorted({0, *(instruction.shift for instruction in self.instructions)}))

    @cached_property
    def sigmas(self) -> tuple[int, int]:
        """Least and greatest right shift of an update at rate 1, bits."""
        found = [instruction.sigma for instruction in self.programs[Program.UPDATE]]
        return min(found), max(found)

    def _free(self, first: bool) -> list[Instruction]:
        spec, compiler = self.spec, _Compiler(self.memory, self.pipeline)
        plane = Plane.SLOT if first or spec.is_sweep else Plane.NEXT
        done: set[int] = set()
        for layer in spec.free_order:
            products = spec.free_products(layer)
            static = [(p, Plane.SLOT) for p in products if p.static]
            moving = [(p, Plane.SLOT) for p in products if not p.static and (not first or p.source in done)]
            if first:
                compiler.layer(layer, static + moving, Start.CLEAR, len(static), Drain.STATE, plane, first=True)
            else:
                compiler.layer(layer, moving, Start.LOAD if static else Start.CLEAR, 0, Drain.STATE, plane)
            if spec.is_sweep:
                done.add(layer)
        if plane is Plane.NEXT:
            compiler.commit(Store.STATES, Plane.SLOT)
        return compiler.instructions

    def _readout(self, wants_error: bool) -> list[Instruction]:
        compiler = _Compiler(self.memory, self.pipeline)
        products = [(p, Plane.SLOT) for p in self.spec.free_products(self.spec.graph.output)]
        self._logits(compiler, products, Plane.SLOT, wants_error)
        return compiler.instructions

    def _logits(
        self, compiler: _Compiler, products: list[tuple[Product, Plane]], plane: Plane, wants_error: bool
    ) -> None:
        output = self.spec.graph.output
        compiler.layer(output, products, Start.CLEAR, 0, Drain.SOFTMAX, plane, wants_error=wants_error)

    def _nudged(self, first: bool) -> list[Instruction]:
        spec, compiler = self.spec, _Compiler(self.memory, self.pipeline)
        drain, store = (Drain.OFFSET, Store.OFFSETS) if spec.has_offsets else (Drain.STATE, Store.STATES)
        home = Plane.SLOT if spec.has_offsets else Plane.SCRATCH
        plane = home if first or spec.is_sweep else Plane.NEXT
        error_plane = Plane.SCRATCH if spec.recomputes_error and not first else Plane.SLOT
        if error_plane is Plane.SCRATCH:
            readout = spec.nudged_products(spec.graph.output)
            state_plane = Plane.SLOT if spec.has_offsets else Plane.SCRATCH
            planes = {Operand.STATE: state_plane, Operand.OFFSET: Plane.SLOT, Operand.INPUT: Plane.SLOT}
            self._logits(compiler, [(p, planes[p.operand]) for p in readout], Plane.SCRATCH, wants_error=True)
        done: set[int] = set()
        for layer in spec.nudged_order:
            products = spec.nudged_products(layer)
            driven = any(p.operand is Operand.INPUT for p in products)
            held = [(p, Plane.SLOT) for p in products if p.static and p.operand is Operand.ERROR]
            moving = []
            for p in products:
                if p.operand is Operand.ERROR and not p.static:
                    moving.append((p, error_plane))
                elif p.operand is Operand.OFFSET and (not first or p.source in done):
                    moving.append((p, Plane.SLOT))
                elif p.operand is Operand.STATE:
                    moving.append((p, Plane.SLOT if first and p.source not in done else Plane.SCRATCH))
            if first:
                start = Start.LOAD if driven else Start.CLEAR
                compiler.layer(layer, held + moving, start, len(held), drain, plane, first=spec.has_offsets)
            else:
                start = Start.LOAD if driven or held else Start.CLEAR
                compiler.layer(layer, moving, start, 0, drain, plane)
            if spec.is_sweep:
                done.add(layer)
        if plane is Plane.NEXT:
            compiler.commit(store, home)
        return compiler.instructions

    def _contrast(self) -> list[Instruction]:
        if self.spec.has_offsets:
            return []
        return [Instruction(Op.DIFFERENCE, count=self.memory.hidden_groups, wait=self.pipeline.difference_wait)]

    def _update(self) -> list[Instruction]:
        return list(self._updates())

    def _updates(self) -> Iterator[Instruction]:
        for matrix in self.spec.graph.learned:
            yield self._update_of(matrix)

    def _update_of(self, matrix: Matrix) -> Instruction:
        memory, spec = self.memory, self.spec
        rows, columns = memory.stored_shape(matrix)
        row_layer, column_layer = spec.stored(matrix)
        groups = memory.groups(rows)
        rows_are_states = memory.is_transposed(matrix)
        return Instruction(
            Op.UPDATE,
            feed=Feed.INPUT if column_layer == 0 else Feed.BROADCAST,
            store=Store.OFFSETS if rows_are_states else Store.STATES,
            vector=memory.vector_bases[column_layer],
            rows=memory.vector_bases[row_layer],
            weight=memory.weight_bases[matrix.index],
            stride=memory.row_stride(matrix),
            count=columns,
            groups=groups,
            last_rows=memory.tile(rows, groups - 1),
            sigma=spec.update_shift(matrix, 1.0),
            column=spec.column_id(matrix),
            wait=self.pipeline.update_wait,
        )
