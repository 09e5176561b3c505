"""Prove that an output of a small circuit is never 1: a unit beside a statement of what it must do.

The circuit comes as RTLIL, memories as registers.  Three kinds of answer, each for all inputs:

:meth:`Circuit.never`
    In no state that can be reached from reset, by the model checker.  For units that keep something: streams.
:meth:`Circuit.never_after`
    Not so many cycles after *any* state, reachable or not.  For pipelines without feedback, in which what came before
    is gone by then: what is left is a question about combinational logic.  Registers that are always the same may be
    named; that they are is proven first, by induction.
:meth:`Circuit.kept`
    In no state that can be reached, by induction over one cycle.  For circuits with too many registers for the first.
"""

import functools
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..emit.yosys import run_yosys
from ..errors import ToolError
from .aig import Graph, Netlist, Outcome, check, decide

__all__ = ["Circuit"]


class Circuit:
    """A circuit with outputs that must never be 1.

    Parameters
    ----------
    rtlil : str
        The circuit, with one clock.
    top : str
        Its top module.

    Raises
    ------
    ToolError
        If yosys refuses it.
    """

    def __init__(self, rtlil: str, top: str = "top") -> None:
        with tempfile.TemporaryDirectory(prefix="fregen-") as scratch:
            source, netlist = Path(scratch) / "circuit.il", Path(scratch) / "circuit.aag"
            source.write_text(rtlil, encoding="utf-8")
            run_yosys([
                f"read_rtlil {source.name}", f"hierarchy -top {top}", "proc", "flatten", "opt_clean", "memory -nomap",
                "memory_map", "opt -full -noff", "setundef -zero", "dffunmap", "techmap", "aigmap", "opt_clean",
                f"write_aiger -ascii -symbols {netlist.name}",
            ], Path(scratch))  # fmt: skip
            self.net = Netlist.read(netlist)
        self.outputs = self.net.ports("o", len(self.net.outputs))
        self.registers = self.net.ports("l", len(self.net.latches))

    def never(self, output: str | None = None, seconds: int = 120) -> Outcome:
        """Prove it of all states that can be reached from reset; a register without an initial value may begin as any.

        Parameters
        ----------
        output : str, optional
            The output, one bit; all of them unless given.
        seconds : int
            Limit of the attempt.
        """
        graph = Graph()
        inputs = [graph.leaf() for _ in self.net.inputs]
        first = graph.latch(1)
        graph.next[first] = 0
        latches, states = [], []
        for _, _, init in self.net.latches:
            latches.append(latch := graph.latch(init if init in (0, 1) else 0))
            states.append(latch if init in (0, 1) else graph.choose(first, graph.leaf(), latch))
        outputs, following = self.net.evaluate(graph, inputs, states)
        graph.next.update(zip(latches, following, strict=True))
        return _decide(graph, graph.any(outputs[place] for place in self._places(output)), seconds)

    def kept(self, output: str | None = None, seconds: int = 120) -> Outcome:
        """Prove it by induction over one cycle: not at reset, and if not in any state then not in the next one either.

        Parameters
        ----------
        output : str, optional
            The output, one bit; all of them unless given.
        seconds : int
            Limit of each attempt.

        Returns
        -------
        str
            ``refuted`` may also mean that more would have to be known of the states that can be reached.
        """
        graph = Graph()
        begins = [init if init in (0, 1) else graph.leaf() for _, _, init in self.net.latches]
        outputs, _ = self._cycle(graph, begins)
        places = self._places(output)
        if (base := _decide(graph, graph.any(outputs[place] for place in places), seconds)) != "proved":
            return base
        graph = Graph()
        before, states = self._cycle(graph, [graph.leaf() for _ in self.net.latches])
        after, _ = self._cycle(graph, states)
        held = graph.any(before[place] for place in places) ^ 1
        return _decide(graph, graph.both(held, graph.any(after[place] for place in places)), seconds)

    def never_after(
        self, cycles: int, output: str | None = None, seconds: int = 120, same: Mapping[str, str] | None = None
    ) -> Outcome:
        """Prove it of the state so many cycles after any state at all.

        Parameters
        ----------
        cycles : int
            How many; 0 for a combinational circuit.
        output : str, optional
            The output, one bit; all of them unless given.
        seconds : int
            Limit of each attempt.
        same : dict, optional
            Registers by name, each with the one that it always equals.
        """
        graph, differ, outputs = self._unrolled(cycles, tuple((same or {}).items()))
        if (kept := _decide(graph, differ, seconds)) != "proved":
            return kept
        return _decide(graph, graph.any(outputs[place] for place in self._places(output)), seconds)

    @functools.cache  # noqa: B019  # a circuit lives as long as one test
    def _unrolled(self, cycles: int, same: tuple[tuple[str, str], ...]) -> tuple[Graph, int, list[int]]:
        """Build so many cycles: the graph, whether registers that are the same come to differ, and the outputs."""
        graph = Graph()
        states = [graph.leaf() for _ in self.net.latches]
        pairs = [pair for names in same for pair in self._pairs(*names)]
        for a, b in pairs:
            states[a] = states[b]
        _, following = self._cycle(graph, states)
        differ = graph.any(graph.differ(following[a], following[b]) for a, b in pairs)
        if any(self.net.latches[a][2] != self.net.latches[b][2] for a, b in pairs):
            differ = 1
        for _ in range(cycles):
            _, states = self._cycle(graph, states)
        outputs, _ = self._cycle(graph, states)
        return graph, differ, outputs

    def _cycle(self, graph: Graph, states: Sequence[int]) -> tuple[list[int], list[int]]:
        return self.net.evaluate(graph, [graph.leaf() for _ in self.net.inputs], states)

    def _places(self, output: str | None) -> list[int]:
        if output is None:
            return list(range(len(self.net.outputs)))
        if output not in self.outputs:
            raise ToolError(f"expected one of the outputs {sorted(self.outputs)}, not {output}")
        return self.outputs[output]

    def _pairs(self, one: str, other: str) -> list[tuple[int, int]]:
        if not {one, other} <= set(self.registers):
            raise ToolError(f"expected registers {one} and {other}; the circuit has {sorted(self.registers)}")
        return list(zip(self.registers[one], self.registers[other], strict=True))


def _decide(graph: Graph, bad: int, seconds: int) -> Outcome:
    """Ask the model checker, or without registers the solver, whether a literal is never 1."""
    if bad in (0, 1):
        return "refuted" if bad else "proved"
    with tempfile.TemporaryDirectory(prefix="fregen-") as scratch:
        path = Path(scratch) / "property.aig"
        latches = graph.write(bad, path)
        return check(path, seconds, merge=True) if latches else decide(path, seconds)
