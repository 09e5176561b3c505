"""One sample in flight: its programs, its place in them, and what it waits for."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..plan import Program
from ..plan.cycles import PHASES
from .beat import Sizes
from .bits import bits
from .choice import ChoiceUnit
from .fetch import FetchUnit
from .links import taken_layout
from .names import named
from .program import instruction_layout

__all__ = ["ContextUnit"]


class ContextUnit(wiring.Component):
    """Run a sample through its programs, or a batch through its update.

    Parameters
    ----------
    sizes : Sizes
        Widths, and the schedule.

    Members
    -------
    begin, update : ``In(1)``
        While ``idle``: begin with a new sample; with the update of the batch.
    offered : ``In``
        The new sample (:func:`fregen.hdl.links.taken_layout`).
    sample : ``Out``
        The sample taken last.
    changed, clear : ``In(1)``, ``Out(1)``
        A word changed in this step; forget it.
    instruction, ready : ``Out``, ``Out(1)``
        The next instruction; its words are there, unless the one that the lanes work on makes them, so that it can be
        ``taken``, and begin two cycles later.
    may_move : ``Out(1)``
        No result of an instruction that has finished is under way that a move would meet which is taken now.
    taken : ``In(1)``
        The instruction is taken: it is the next one that the lanes work on.
    finish, wait, ends : ``In(1)``, ``In``, ``In(1)``
        This cycle is the last of one of its instructions; results are there so many cycles after the next one; it was
        the program's last instruction.
    emit, emitted : ``Out(1)``, ``In(1)``
        The prediction is final; it is handed over.
    idle : ``Out(1)``
        No sample, and no update.
    busy : ``Out(1)``
        A program runs.
    phase : ``Out``
        Phase of the program: number among ``plan.cycles.PHASES``.
    is_predicted, free_step, nudged_step, update_done : ``Out(1)``
        With ``emit``: the sample is only inferred.  What ends in this cycle.

    Timing
    ------
    The first instruction of a program is ready two cycles after ``begin``, ``update``, or the end of the program
    before; the next one two cycles after one is taken.  After reset: idle.
    """

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes
        waits = max(instruction.wait for instruction in sizes.schedule.instructions)
        flags = ("clear", "ready", "may_move", "emit", "idle", "busy", "free_step", "nudged_step", "update_done")
        super().__init__(
            {
                **dict.fromkeys(("begin", "update", "changed", "taken", "finish", "ends", "emitted"), In(1)),
                "offered": In(taken_layout(sizes)),
                "sample": Out(taken_layout(sizes)),
                "instruction": Out(instruction_layout(sizes.schedule)),
                "wait": In(bits(waits + 1)),
                "phase": Out(bits(len(PHASES))),
                "is_predicted": Out(1),
                **dict.fromkeys(flags, Out(1)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        schedule, later = self.sizes.schedule, self.sizes.pipeline.jump - 1
        m.submodules.fetch = fetch = named("fetch", FetchUnit(schedule))
        m.submodules.choice = choice = named("choice", ChoiceUnit(schedule))
        with m.If(self.begin):
            m.d.sync += self.sample.eq(self.offered)

        # Results under way: cycles until the last one is there.
        pending = Signal.like(self.wait, name="pending")
        is_settled = Signal(init=1)  # none is left
        may_move = Signal(init=1, name="is_settling")  # one at most
        with m.If(self.finish & (self.wait >= pending)):
            m.d.sync += [pending.eq(self.wait), is_settled.eq(self.wait == 0), may_move.eq(self.wait <= 1)]
        with m.Elif(~is_settled):
            m.d.sync += [pending.eq(pending - 1), is_settled.eq(pending == 1), may_move.eq(pending <= 2)]

        # A register a state: one of them is set.
        is_idle = Signal(init=1)
        jumps, runs, lasts, settles, emits = (Signal(name=name) for name in _STATES)
        begins = Signal()
        ends = Signal(name="last_ends")
        ended = Signal()
        handed = Signal()
        instruction = fetch.fetched
        m.d.comb += [
            begins.eq(self.begin | self.update),
            ends.eq(lasts & self.ends),
            ended.eq(settles & is_settled),
            handed.eq(emits & self.emitted),
            choice.advance.eq((ended & choice.goes_on) | (handed & ~self.is_predicted)),
        ]
        m.d.sync += [
            is_idle.eq(
                (is_idle & ~begins) | (ended & ~choice.goes_on & ~choice.is_readout) | (handed & self.is_predicted)
            ),
            jumps.eq(begins | choice.advance),
            runs.eq(jumps | (runs & ~(self.taken & instruction.end))),
            lasts.eq((self.taken & instruction.end) | (lasts & ~ends)),
            settles.eq(ends | (settles & ~ended)),
            emits.eq((ended & ~choice.goes_on & choice.is_readout) | (emits & ~handed)),
        ]

        m.d.comb += [
            self.idle.eq(is_idle),
            self.busy.eq(~(is_idle | emits)),
            self.clear.eq(jumps),
            self.ready.eq(runs & fetch.valid & (~instruction.sync | self.may_move)),
            self.emit.eq(emits),
            self.is_predicted.eq(emits & (choice.running == Program.PREDICT)),
            self.free_step.eq(ended & choice.is_free),
            self.nudged_step.eq(ended & choice.is_nudged),
            self.update_done.eq(ended & choice.is_update),
            choice.begin.eq(self.begin),
            choice.learn_batch.eq(self.update),
            choice.changed.eq(self.changed),
            choice.learns.eq(self.sample.learn),
            fetch.program.eq(choice.running if later else choice.program),
            fetch.jump.eq(jumps if later else begins | choice.advance),
            fetch.load.eq(self.taken),
            self.instruction.eq(instruction),
            self.may_move.eq(may_move),
            self.phase.eq(choice.phase),
        ]
        return m


_STATES = ("jumps", "runs", "lasts", "settles", "emits")
"""A program is looked up; its instructions are taken; the last one is worked on; its results come; a prediction waits.
"""
