"""Samples in flight: a replay of how several samples share the lanes, to the cycle.

Every sample in flight is in a *context*, sample after sample in turn.  A context runs the programs of its sample, one
instruction after the other; whenever the lanes are free, the oldest sample that has an instruction ready gets them, and
keeps them until its tile drains.  See docs/instructions.md, "Samples in flight".
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .beats import Work, learning_work, product_work
from .instruction import Drain, Instruction, Op
from .schedule import Program, Schedule

__all__ = ["Passage", "Replay"]


@dataclass(frozen=True)
class Passage:
    """What a sample goes through.

    Parameters
    ----------
    nonzero : int
        Input words that are not zero.
    free_steps : int
        Steps of the free phase.
    nudged_steps : int or None
        Steps of the nudged phase; None for a sample that is only inferred.
    contrast : bool
        Whether a contrast is taken at the end (``states`` form).
    batch : (occupancy, samples) or None
        For the last sample of a batch: how many samples have a nonzero word at each input, and how many samples.
    is_held : bool
        Whether the host sends it only when the core is idle.
    """

    nonzero: int
    free_steps: int
    nudged_steps: int | None = None
    contrast: bool = False
    batch: tuple[NDArray[np.integer], int] | None = None
    is_held: bool = False

    def programs(self) -> Iterator[tuple[Program, int]]:
        """Yield the sample's programs in order, each with how often it runs."""
        yield Program.FREE_FIRST, 1
        yield Program.FREE_STEP, self.free_steps - 1
        if self.nudged_steps is None:
            yield Program.PREDICT, 1
            return
        yield Program.READOUT, 1
        yield Program.NUDGED_FIRST, 1
        yield Program.NUDGED_STEP, self.nudged_steps - 1
        if self.contrast:
            yield Program.CONTRAST, 1


class _Next(NamedTuple):
    """The instruction that a context offers to the lanes, its work, and whether its program ends with it."""

    instruction: Instruction
    work: Work
    is_last: bool


@dataclass
class _Context:
    """One sample in flight."""

    number: int
    sample: int = -1
    nonzero: int = 0
    programs: deque[Program] = field(default_factory=deque)
    running: Program = Program.FREE_FIRST
    todo: deque[_Next] = field(default_factory=deque)
    begun: int = 0
    ready: int = 0
    """Cycle from which the next instruction can be taken, if nothing else keeps it."""
    written: int = 0
    """Cycle from which one can be taken that reads all results so far."""
    emits: int | None = None
    """Cycle from which the prediction can be handed over."""
    idle: int | None = 0
    """Cycle from which the context has no sample; None while it has one."""

    def first_cycle(self, others: "list[_Context]") -> int:
        """Cycle from which the next instruction can be taken."""
        instruction = self.todo[0].instruction
        if instruction.op in (Op.COPY, Op.DIFFERENCE):  # moves need the memories' only write port
            return max(self.ready, *(context.written for context in others))
        return max(self.ready, self.written if instruction.sync else 0)


class Replay:
    """Follow samples through the contexts.

    Parameters
    ----------
    schedule : Schedule
        What the hardware runs.
    """

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.memory = schedule.memory
        self.contexts = [_Context(number) for number in range(self.memory.contexts)]
        self.beats = self.memory.sample_beats
        self.classes = schedule.spec.softmax.classes
        self._waiting: deque[Passage] = deque()
        self._taken = 0
        self._emitted = 0
        self._last_take = self._last_emission = -self.beats - 2
        self._closing: Passage | None = None
        self._open = 0
        self._free = self._begun = 0
        self._drained = 0
        self._owner: _Context | None = None
        self._softmax_free = self._errors_done = 0
        self._spans: list[tuple[int, int]] = []

    def send(self, passage: Passage) -> None:
        """Offer a sample to the core, and go on as far as it takes it."""
        self._waiting.append(passage)
        while self._waiting:
            if not self._take():
                self._step()

    @property
    def elapsed(self) -> int:
        """Cycles from the first sample's start until the last program has ended, waiting for the host included."""
        return max(end for _, end in self._spans) + 1 - min(begin for begin, _ in self._spans)

    def finish(self) -> int:
        """Finish all samples; return the cycles in which one was under way, the host's waits left out."""
        while any(context.idle is None for context in self.contexts) or self._closing is not None:
            self._step()
        busy = until = 0
        for begin, end in sorted(self._spans):
            busy += max(0, end + 1 - max(begin, until))
            until = max(until, end + 1)
        return busy

    # The life of a context ---------------------------------------------------------------------------------

    def _take(self) -> bool:
        """Let the next context take the next sample, if it can; whether it did."""
        passage, context = self._waiting[0], self.contexts[self._taken % len(self.contexts)]
        if self._closing is not None or context.idle is None:
            return False
        now = max(context.idle, self._last_take + self.beats + 1, self._open)
        if passage.is_held:
            if any(other.idle is None for other in self.contexts):
                return False
            now = max(now, *(other.idle for other in self.contexts if other.idle is not None)) + self.beats
        self._waiting.popleft()
        context.sample, context.idle, context.nonzero = self._taken, None, passage.nonzero
        context.programs = deque(name for name, times in passage.programs() for _ in range(times))
        self._taken, self._last_take = self._taken + 1, now
        self._closing = passage if passage.batch is not None else None
        self._begin(context, now)
        return True

    def _begin(self, context: _Context, now: int) -> None:
        """Jump to a context's next program."""
        context.running = context.programs.popleft()
        instructions = self.schedule.programs[context.running]
        if context.running is Program.UPDATE:
            assert self._closing is not None
            assert self._closing.batch is not None
            works = [
                learning_work(i, self.memory.lanes, *self._closing.batch, self.schedule.pipeline) for i in instructions
            ]
        else:
            works = [product_work(i, self.memory.lanes, context.nonzero) for i in instructions]
        last = len(works) - 1
        context.todo = deque(_Next(i, w, k == last) for k, (i, w) in enumerate(zip(instructions, works, strict=True)))
        context.begun, context.ready = now, now + 1 + self.schedule.pipeline.jump

    def _end(self, context: _Context, finish: int) -> None:
        """End a program, whose last beat was in cycle ``finish``, when its results are written."""
        settled = max(finish, context.written) + 1
        self._spans.append((context.begun + 1, settled))
        if context.running in (Program.READOUT, Program.PREDICT):
            context.emits = settled + 1
            self._emit()
        elif context.programs:
            self._begin(context, settled)
        else:
            context.idle = settled + 1
            if context.running is Program.UPDATE:
                self._open, self._closing = settled + 1, None
            self._learn()

    def _emit(self) -> None:
        """Hand over predictions, in the order of samples."""
        while True:
            context = self.contexts[self._emitted % len(self.contexts)]
            if context.emits is None or context.sample != self._emitted:
                return
            now = max(context.emits, self._last_emission + 1)
            context.emits, self._last_emission, self._emitted = None, now, self._emitted + 1
            if context.programs:
                self._begin(context, now)
            else:
                context.idle = now + 1
                self._learn()

    def _learn(self) -> None:
        """Begin the update when all samples of a full batch are done: it runs in the first context."""
        idle = [context.idle for context in self.contexts]
        if self._closing is None or None in idle:
            return
        first = self.contexts[0]
        begin = max(self._last_take + 1, *(cycle for cycle in idle if cycle is not None))
        first.idle, first.programs = None, deque([Program.UPDATE])
        self._begin(first, begin)

    # The lanes ---------------------------------------------------------------------------------------------

    def _step(self) -> None:
        """Let the lanes work through one instruction."""
        offers = [context for context in self.contexts if context.todo and context.emits is None]
        if self._owner is not None:
            offers = [self._owner]
        first = {context.number: context.first_cycle(self.contexts) for context in offers}
        taken = max(self._begun, min(first.values()))
        context = min((c for c in offers if first[c.number] <= taken), key=lambda c: c.sample)
        instruction, work, is_last = context.todo.popleft()
        self._begun = max(self._free, taken + 1) + 1
        finish = self._last_beat(instruction, self._begun - 1 + work.cycles)
        if instruction.drain is not Drain.NONE:
            self._drained = finish + instruction.drain_cycles
            if instruction.wants_error:
                about = instruction.drain_cycles, self.classes
                self._softmax_free = finish + 1 + self.schedule.pipeline.softmax_wait(*about)
                self._errors_done = finish + 1 + self.schedule.pipeline.errors_left(*about)
        if instruction.wait:
            context.written = max(context.written, finish + instruction.wait)
        keeps = instruction.op is Op.PRODUCT and instruction.drain is Drain.NONE
        self._owner = context if keeps else None
        self._free, context.ready = finish, taken + 2
        if is_last:
            self._end(context, finish)

    def _last_beat(self, instruction: Instruction, cycle: int) -> int:
        """Cycle of an instruction's last beat, which waits for the chain of sums and for the softmax unit."""
        if instruction.drain is Drain.NONE:
            return cycle
        cycle = max(cycle, self._drained)
        if instruction.drain is Drain.SOFTMAX:
            return max(cycle, self._softmax_free) if instruction.wants_error else cycle
        # No word may be written together with an error.
        free = self._errors_done - self.schedule.pipeline.neuron
        return free if free - self.classes - instruction.drain_cycles < cycle < free else cycle
