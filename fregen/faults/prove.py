"""Prove that a planted fault changes nothing that can be observed, whatever the inputs and whatever the memories hold.

The instrumented core is an and-inverter graph, its memories cut at their ports: what they answer is free, as long as
they are asked and given the same.  Good and faulty core are that graph with ``fault`` 0 and k, built into one graph in
which equal logic is shared, so that only what the fault reaches is there twice.  A SAT-based model checker (ABC, which
comes with yosys: ``pdr``, which finds the invariants of reachable states by itself) then looks at one output that
must never be 1:

``registers``
    In no reachable state does the fault change the next value of a register, an observable output or an access to a
    memory.
    Units that need not be looked at are left open: their registers may hold anything, which is more than they can.
``outputs``
    Registers that the fault reaches within one, two or any number of cycles exist twice and may differ; no
    other register, no observable output and no write to a memory ever does.  Where a memory was asked for another
    address, its answer is another free word.

``history``
    From what a few cycles make of any state, and what memories can hold: :mod:`fregen.faults.history`.  For faults that
    only the words of tables show to be harmless.

Observable are all outputs, but a stream's payload only while it is valid, and an observation point's fields only
while its strobe is high; a memory's written word only where it is enabled.  Either proof is sound: memories that
answer anything, and inputs that break the handshakes, are more than what can happen.  A fault that no proof is found
for may still be equivalent.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ..hdl.ports import Port
from .aig import Graph, Netlist, Outcome, check
from .history import History

__all__ = ["METHODS", "Prover"]

METHODS = ("registers", "outputs", "history")
"""Proofs that :meth:`Prover.prove` may find; see the module."""

Open = Literal["nothing", "data", "beats"]
Attempt = tuple[Open, int]
Verdicts = dict[Attempt | Literal["history"], Outcome]
"""What became of the attempts: what is left open, and depth."""

_BRIEF: tuple[Attempt, ...] = (("beats", 0), ("nothing", 0), ("data", 0), ("data", 1))
_THOROUGH: tuple[Attempt, ...] = (
    *(("beats", 0), ("data", 0), ("data", 1)),
    *(("nothing", depth) for depth in (0, 1, 2, 1000)),
)

_DATA_PATH = ("array.lane_", "array.chain", "array.dither", "counter", "activation_", "softmax", "vectors", "weights")
_BEATS = ("sequencer.context_", *(f"sequencer.{unit}." for unit in ("issue", "scan", "walk")))
_OPEN: dict[Open, tuple[str, ...]] = {"nothing": (), "data": _DATA_PATH, "beats": (*_DATA_PATH, *_BEATS)}
"""Units whose registers may hold anything, in a proof about control and in one about which samples are under way."""


@dataclass
class _Good:
    """The good core within a graph; ``begins``: each register's initial value, or what it begins with."""

    inputs: list[int]
    first: int
    begins: list[tuple[int, int]]
    free: set[int] = field(default_factory=set)
    states: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    following: list[int] = field(default_factory=list)

    def register(self, graph: Graph, place: int) -> tuple[int, int]:
        """Make a register that begins as this one does: its latch, and its value."""
        init, anything = self.begins[place]
        latch = graph.latch(init)
        return latch, graph.choose(self.first, anything, latch) if anything else latch


class Prover:
    """Proofs about one instrumented core.

    Parameters
    ----------
    netlist : Path
        ASCII AIGER of :func:`fregen.faults.mutants.plant`.
    ports : sequence of Port
        The core's ports (:func:`fregen.hdl.ports.core_ports`): which count only while another one is high.
    """

    def __init__(self, netlist: Path, ports: Sequence[Port]) -> None:
        self.net = Netlist.read(netlist)
        self.ports = [port for port in ports if port.strobe is not None and port.direction == "out"]
        self.outputs = self.net.ports("o", len(self.net.outputs))
        self.inputs = self.net.ports("i", len(self.net.inputs))
        self.registers = [self.net.names.get(f"l{place}", "") for place in range(len(self.net.latches))]
        self.memories = sorted({name.split("_")[0] for name in self.inputs if name.endswith("_RD_DATA")})
        self.history: History | None = None

    def prove(
        self, number: int, where: Path, seconds: int, thorough: bool, known: Verdicts | None = None
    ) -> tuple[str | None, Verdicts]:
        """Try to prove that a fault changes nothing.

        Parameters
        ----------
        number : int
            The fault.
        where : Path
            Folder for the model checker's file.
        seconds : int
            Limit of each attempt.
        thorough : bool
            Try all ways, not only those that mostly succeed.
        known : dict, optional
            What an earlier call has returned: what was refuted there is not tried again.

        Returns
        -------
        (str or None, dict)
            The method that succeeded, of :data:`METHODS`; and what became of each attempt.
        """
        verdicts: Verdicts = dict(known or {})
        path = where / f"fault_{number}.aig"
        if thorough and "history" not in verdicts:  # takes seconds, what follows takes minutes
            if self.history is None:
                self.history = History(self.net, self.inputs, self.outputs, self.observed)
            verdicts["history"] = self.history.prove(number, path, seconds)
            if verdicts["history"] == "proved":
                return METHODS[2], verdicts
        for attempt in _THOROUGH if thorough else _BRIEF:
            if verdicts.get(attempt) == "refuted":
                continue
            left_open, depth = attempt
            graph, bad = self._model(number, depth, left_open)
            latches = graph.write(bad, path) if bad else 0
            merge = left_open != "nothing" and latches > 0
            verdicts[attempt] = check(path, seconds, merge) if bad else "proved"
            path.unlink(missing_ok=True)
            if verdicts[attempt] == "proved":
                return METHODS[depth > 0], verdicts
        return None, verdicts

    def _start(self, graph: Graph, left_open: Open) -> "_Good":
        """Put the good core into a graph."""
        inputs = [graph.leaf() for _ in self.net.inputs]
        first = graph.latch(1)
        graph.next[first] = 0
        # A register without an initial value (a ROM's read port) begins with anything.
        begins = [(init, 0) if init in (0, 1) else (0, graph.leaf()) for _, _, init in self.net.latches]
        good = _Good(inputs, first, begins)
        latches: dict[int, int] = {}
        for place, name in enumerate(self.registers):
            if name.startswith(_OPEN[left_open]):
                good.free.add(place)
                good.states.append(graph.leaf())
            else:
                latches[place], state = good.register(graph, place)
                good.states.append(state)
        good.outputs, good.following = self._evaluate(graph, inputs, good.states, 0)
        graph.next.update({latch: good.following[place] for place, latch in latches.items()})
        return good

    def _evaluate(
        self, graph: Graph, inputs: Sequence[int], latches: Sequence[int], fault: int
    ) -> tuple[list[int], list[int]]:
        """Return outputs and next states, for leaves and a fault."""
        given = list(inputs)
        for bit, position in enumerate(self.inputs["fault"]):
            given[position] = fault >> bit & 1
        return self.net.evaluate(graph, given, latches)

    def observed(self, graph: Graph, good: Sequence[int], bad: Sequence[int]) -> int:
        """Whether outputs differ in anything that can be observed, addresses that memories are read at left aside."""
        differences = []

        def differ(places: Iterable[int]) -> int:
            return graph.any(graph.differ(good[place], bad[place]) for place in places)

        qualified = {port.name for port in self.ports}
        for port in self.ports:
            assert port.strobe is not None
            strobe, places = [good[place] for place in self.outputs[port.strobe]], self.outputs.get(port.name, [])
            if len(strobe) == port.words > 1:
                width = port.width // port.words
                parts = [places[width * k : width * (k + 1)] for k in range(port.words)]
                differences += [graph.both(bit, differ(part)) for bit, part in zip(strobe, parts, strict=True)]
            else:
                differences.append(graph.both(graph.any(strobe), differ(places)))
        for memory in self.memories:
            enables = self.outputs[f"{memory}_WR_EN"]
            qualified.update(f"{memory}_{port}" for port in ("WR_EN", "WR_DATA", "WR_ADDR", "RD_ADDR"))
            writing = graph.any(good[place] for place in set(enables))
            addresses = differ(self.outputs[f"{memory}_WR_ADDR"])
            differences += [differ(enables), graph.both(writing, addresses)]
            for place, enable in zip(self.outputs[f"{memory}_WR_DATA"], enables, strict=True):
                differences.append(graph.both(good[enable], graph.differ(good[place], bad[place])))
        differences += [differ(places) for name, places in self.outputs.items() if name not in qualified]
        return graph.any(differences)

    def _model(self, number: int, depth: int, left_open: Open) -> tuple[Graph, int]:
        """Put good and faulty core into one graph.

        Registers that the fault can change within ``depth`` cycles exist twice, with all bits of their words; all
        others once.

        Returns
        -------
        (graph, int)
            The literal that must never be 1: another register, or something that can be observed, differs.
        """
        graph = Graph()
        good = self._start(graph, left_open)
        inputs, states = list(good.inputs), list(good.states)
        own: dict[int, int] = {}  # place of a register -> the faulty core's latch
        same: dict[str, int] = {}  # memory -> whether it was asked for the same address
        while True:
            outputs, faulty = self._evaluate(graph, inputs, states, number)
            differing = [
                place
                for place, (a, b) in enumerate(zip(good.following, faulty, strict=True))
                if a != b and place not in own
            ]
            asked = {
                memory: graph.any(graph.differ(good.outputs[k], outputs[k]) for k in self.outputs[f"{memory}_RD_ADDR"])
                for memory in self.memories
            }
            strayed = [memory for memory in self.memories if asked[memory] and memory not in same]
            grown = set(differing) - good.free
            if depth == 0 or not (grown or strayed):
                break
            depth -= 1
            words = {self.registers[place].partition("[")[0] for place in grown}
            for place, name in enumerate(self.registers):
                if name.partition("[")[0] in words and place not in own and place not in good.free:
                    own[place], states[place] = good.register(graph, place)
            for memory in strayed:
                same[memory] = graph.latch(1)  # what a memory answers at first is the same
                for place in self.inputs[f"{memory}_RD_DATA"]:
                    inputs[place] = graph.choose(same[memory], good.inputs[place], graph.leaf())
        for memory, latch in same.items():
            graph.next[latch] = asked[memory] ^ 1
        for place, latch in own.items():
            graph.next[latch] = faulty[place]
        spread = [graph.differ(good.following[place], faulty[place]) for place in differing]
        spread += [asked[memory] for memory in strayed]
        return graph, graph.any([*spread, self.observed(graph, good.outputs, outputs)])
