"""Prove that a planted fault changes nothing, from what the cycles before allow and what memories can hold.

A register is only ever what the cycle before has made of other words.  So a few cycles are unrolled from *any* state:
in the last of them a product, for instance, is one of two words that its tables have, whatever came before.  Tables are
logic in the netlist, so that their words are known; a memory answers with zeros, with which it begins, or with a word
that was once written into it.  What can be written is asked of the netlist in the same way, one cycle after any state.
This narrows memories that are filled from a table.

Two questions for the solver, both without registers:

step
    In the last cycle good and faulty core, in the same state, differ in no register's next value, no observable output
    and no access to a memory.
begin
    The first cycles from reset on are not yet ``after any state``: there both cores run, each with its own registers.
    Nothing observable and no access to a memory differs, and in the end all registers are the same.

The proof is by induction: after the beginning both cores are in the same state, and a step keeps them so.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from .aig import Graph, Netlist, Outcome, check, decide

__all__ = ["History", "Memories"]

_BEFORE = 2
"""Cycles that are unrolled before the one that is asked about."""

_BEGIN = _BEFORE + 8
"""Cycles from reset on within which what differed at first must be gone."""

_NARROW = 16
"""Bits on which the words of a memory may depend at most; what depends on more may as well be anything."""

_ADDRESS = 20
"""Seconds of the attempt to prove that no address lies beyond a memory's end."""

Observed = Callable[[Graph, Sequence[int], Sequence[int]], int]
"""Whether outputs differ in anything that can be observed, reads of memories left aside."""


class Memories:
    """Words that memories can hold, beside the zeros with which they begin.

    Parameters
    ----------
    net : Netlist
        The core, memories cut at their ports.
    inputs, outputs : mapping
        Positions of the bits of its ports.
    """

    def __init__(self, net: Netlist, inputs: Mapping[str, Sequence[int]], outputs: Mapping[str, Sequence[int]]) -> None:
        self.net, self.fault = net, inputs["fault"]
        self.answers = {name.split("_")[0]: places for name, places in inputs.items() if name.endswith("_RD_DATA")}
        self.asked = {memory: outputs[f"{memory}_RD_ADDR"] for memory in self.answers}
        self.graph = graph = Graph()
        first, _ = self._any_inputs(graph, [_initial(graph, init) for *_, init in net.latches])
        _, states = self._any_inputs(graph, [graph.leaf() for _ in net.latches])
        after, _ = self._any_inputs(graph, states)
        self.written: dict[str, list[int]] = {}
        for memory in self.answers:
            words, enables = [after[place] for place in outputs[f"{memory}_WR_DATA"]], outputs[f"{memory}_WR_EN"]
            whole = len({after[place] for place in enables}) == 1
            # A write in the very first cycle may be of anything: there must be none.
            if whole and not any(first[place] for place in enables) and graph.support(words, _NARROW) is not None:
                size = sum((net.outputs[place] & 1) << bit for bit, place in enumerate(outputs[f"{memory}_SIZE"]))
                if size and (size == 1 << len(self.asked[memory]) or self._is_within(memory, size)):
                    self.written[memory] = words

    def answer(self, graph: Graph, inputs: list[int]) -> None:
        """Put what memories answer among the inputs of a cycle: words that they can hold."""
        for memory, words in self.written.items():
            begun = graph.leaf()
            copied = graph.copy(self.graph, words)
            for place, bit in zip(self.answers[memory], copied, strict=True):
                inputs[place] = graph.both(begun, bit)

    def _any_inputs(self, graph: Graph, states: Sequence[int]) -> tuple[list[int], list[int]]:
        """Build a cycle of the good core with inputs that may be anything."""
        return self.net.evaluate(graph, _given(graph, len(self.net.inputs), self.fault, 0), states)

    def _is_within(self, memory: str, size: int) -> bool:
        """Prove that a memory is never asked for a word beyond its end, of which nothing is known.

        Registers near the address are there, all others may hold anything.
        """
        graph = Graph()
        states = [graph.leaf() for _ in self.net.latches]
        outputs, following = self._any_inputs(graph, states)
        near: set[int] = set()
        for _ in range(2):
            asked = [outputs[place] for place in self.asked[memory]] + [following[place] for place in near]
            leaves = graph.support(asked, len(states)) or set()
            near = {
                place for place, (*_, init) in enumerate(self.net.latches) if states[place] in leaves and init in (0, 1)
            }
        graph = Graph()
        states = [graph.latch(init) if k in near else graph.leaf() for k, (*_, init) in enumerate(self.net.latches)]
        outputs, following = self._any_inputs(graph, states)
        graph.next = {states[place]: following[place] for place in near}
        beyond = 1
        for bit, place in enumerate(self.asked[memory]):
            beyond = (graph.both if size >> bit & 1 else graph.either)(outputs[place], beyond)
        with tempfile.TemporaryDirectory(prefix="fregen-") as scratch:
            path = Path(scratch) / "address.aig"
            latches = graph.write(beyond, path)
            return (check(path, _ADDRESS, merge=True) if latches else decide(path, _ADDRESS)) == "proved"


class History:
    """Proofs about one instrumented core.

    Parameters
    ----------
    net : Netlist
        The core, memories cut at their ports; they begin with zeros.
    inputs, outputs : mapping
        Positions of the bits of its ports.
    observed : callable
        What can be observed.
    """

    def __init__(
        self,
        net: Netlist,
        inputs: Mapping[str, Sequence[int]],
        outputs: Mapping[str, Sequence[int]],
        observed: Observed,
    ) -> None:
        self.net, self.fault, self.observed = net, inputs["fault"], observed
        self.memories = Memories(net, inputs, outputs)

    def prove(self, number: int, path: Path, seconds: int) -> Outcome:
        """Try to prove that a fault changes nothing.

        Parameters
        ----------
        number : int
            The fault.
        path : Path
            The solver's file.
        seconds : int
            Limit of each question.

        Returns
        -------
        str
            ``refuted`` means that it may change something as far as this module can see.
        """
        outcome: Outcome = "proved"
        for question in (self._step, self._begin):
            graph, bad = question(number)
            if bad:
                graph.write(bad, path)
                outcome = decide(path, seconds) if bad != 1 else "refuted"
                path.unlink(missing_ok=True)
            if outcome != "proved":
                break
        return outcome

    def _cycle(self, graph: Graph, number: int, after_reset: bool = False) -> tuple[list[int], list[int]]:
        """Return a cycle's inputs without and with the fault."""
        good = _given(graph, len(self.net.inputs), self.fault, 0)
        if not after_reset:  # the very first answer may be anything
            self.memories.answer(graph, good)
        bad = list(good)
        for bit, place in enumerate(self.fault):
            bad[place] = number >> bit & 1
        return good, bad

    def _differ(self, graph: Graph, good: Sequence[int], bad: Sequence[int]) -> int:
        """Whether an access to a memory or something observable differs."""
        asked = (place for places in self.memories.asked.values() for place in places)
        return graph.either(
            graph.any(graph.differ(good[place], bad[place]) for place in asked), self.observed(graph, good, bad)
        )

    def _step(self, number: int) -> tuple[Graph, int]:
        graph = Graph()
        states = [graph.leaf() for _ in self.net.latches]
        for _ in range(_BEFORE):
            _, states = self.net.evaluate(graph, self._cycle(graph, 0)[0], states)
        good, bad = (self.net.evaluate(graph, inputs, states) for inputs in self._cycle(graph, number))
        kept = graph.any(graph.differ(a, b) for a, b in zip(good[1], bad[1], strict=True))
        return graph, graph.either(kept, self._differ(graph, good[0], bad[0]))

    def _begin(self, number: int) -> tuple[Graph, int]:
        graph, seen = Graph(), 0
        good = bad = [_initial(graph, init) for *_, init in self.net.latches]
        for cycle in range(_BEGIN):
            sound, faulty = self._cycle(graph, number, after_reset=cycle == 0)
            outputs, good = self.net.evaluate(graph, sound, good)
            found, bad = self.net.evaluate(graph, faulty, bad)
            seen = graph.either(seen, self._differ(graph, outputs, found))
        return graph, graph.either(seen, graph.any(graph.differ(a, b) for a, b in zip(good, bad, strict=True)))


def _initial(graph: Graph, init: int) -> int:
    """Return what a register begins with; one without an initial value (a table's read port) with anything."""
    return init if init in (0, 1) else graph.leaf()


def _given(graph: Graph, count: int, fault: Sequence[int], number: int) -> list[int]:
    """Make inputs of a cycle: anything, but the fault."""
    given = [graph.leaf() for _ in range(count)]
    for bit, place in enumerate(fault):
        given[place] = number >> bit & 1
    return given
