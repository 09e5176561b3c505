"""And-inverter graphs: built with equal nodes shared, read from yosys, and given to a model checker.

A *literal* is twice a node's number, plus 1 if inverted; node 0 is the constant 0.  A graph's *latches* take a next
literal each; *leaves* are free in every cycle.  The model checker is ABC, which comes with yosys: ``pdr`` finds
inductive invariants of the reachable states by itself.
"""

import re
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ..errors import ToolError
from ..processes import captured
from ..tools import find_yosys

__all__ = ["Graph", "Netlist", "Outcome", "check", "decide"]

Outcome = Literal["proved", "refuted", "open"]
"""Whether an output that must never be 1 never is: proved, refuted by a run that is one, or neither in time."""


_BIT = re.compile(r"(.*?)(?:\[(\d+)\])?")
"""A name, and which bit of it."""


class Graph:
    """And-inverter graph with equal nodes shared; a literal is twice the node's number, plus 1 if inverted."""

    def __init__(self) -> None:
        self.fanin: list[tuple[int, int] | None] = [None]
        self.known: dict[tuple[int, int], int] = {}
        self.next: dict[int, int] = {}  # latch literal -> next literal
        self.init: dict[int, int] = {}

    def leaf(self) -> int:
        """Make an input, which may be anything in every cycle."""
        self.fanin.append(None)
        return 2 * len(self.fanin) - 2

    def latch(self, init: int) -> int:
        """Make a register that begins with 0 or 1; its next value goes to ``next``."""
        literal = self.leaf()
        self.init[literal] = init
        return literal

    def both(self, a: int, b: int) -> int:
        """Return ``a and b``."""
        if a > b:
            a, b = b, a
        if a == 0 or a == b ^ 1:
            return 0
        if a in (1, b):
            return b
        found = self.known.get((a, b))
        if found is None:
            found = self.known[a, b] = 2 * len(self.fanin)
            self.fanin.append((a, b))
        return found

    def either(self, a: int, b: int) -> int:
        """Return ``a or b``."""
        return self.both(a ^ 1, b ^ 1) ^ 1

    def differ(self, a: int, b: int) -> int:
        """Return ``a xor b``."""
        if a == b:
            return 0
        return self.either(self.both(a, b ^ 1), self.both(a ^ 1, b))

    def choose(self, which: int, yes: int, no: int) -> int:
        """Return ``yes`` where ``which`` is 1, else ``no``."""
        return self.either(self.both(which, yes), self.both(which ^ 1, no))

    def any(self, literals: Iterable[int]) -> int:
        """Return the or of all; 0 if there are none."""
        result = 0
        for literal in literals:
            result = self.either(result, literal)
        return result

    def support(self, literals: Iterable[int], most: int) -> set[int] | None:
        """Return the leaves and latches that literals depend on, or None if there are more than so many."""
        seen: set[int] = set()
        found: set[int] = set()
        todo = [literal >> 1 for literal in literals]
        while todo and len(found) <= most:
            node = todo.pop()
            if node in seen or node == 0:
                continue
            seen.add(node)
            fanin = self.fanin[node]
            if fanin is None:
                found.add(2 * node)
            else:
                todo += [fanin[0] >> 1, fanin[1] >> 1]
        return found if len(found) <= most else None

    def copy(self, other: "Graph", literals: Sequence[int]) -> list[int]:
        """Build logic of another graph into this one, with leaves of its own."""
        made = {0: 0}
        todo = [literal >> 1 for literal in literals]
        while todo:
            node = todo[-1]
            fanin = other.fanin[node]
            if node in made:
                todo.pop()
            elif fanin is None:
                made[node] = self.leaf()
            elif missing := [literal >> 1 for literal in fanin if literal >> 1 not in made]:
                todo += missing
            else:
                a, b = (made[literal >> 1] ^ (literal & 1) for literal in fanin)
                made[node] = self.both(a, b)
        return [made[literal >> 1] ^ (literal & 1) for literal in literals]

    def write(self, bad: int, path: Path) -> int:
        """Write what an output depends on as binary AIGER; return the number of latches."""
        seen: set[int] = set()
        todo = [bad >> 1]
        while todo:
            node = todo.pop()
            if node in seen or node == 0:
                continue
            seen.add(node)
            fanin = self.fanin[node]
            if fanin is not None:
                todo += [fanin[0] >> 1, fanin[1] >> 1]
            elif 2 * node in self.next:
                todo.append(self.next[2 * node] >> 1)
        order = sorted(seen)
        latches = [node for node in order if 2 * node in self.next]
        gates = [node for node in order if self.fanin[node] is not None]
        inputs = [node for node in order if self.fanin[node] is None and 2 * node not in self.next]
        number = {0: 0}
        for node in [*inputs, *latches, *gates]:
            number[node] = len(number)
        flip = {node for node in latches if self.init[2 * node]}  # latches begin with 0: others are kept inverted

        def name(literal: int) -> int:
            return 2 * number[literal >> 1] + ((literal & 1) ^ (literal >> 1 in flip))

        with path.open("wb") as file:
            counts = (len(number) - 1, len(inputs), len(latches), 1, len(gates))
            file.write(("aig " + " ".join(map(str, counts)) + "\n").encode())
            for node in latches:
                file.write(f"{name(self.next[2 * node]) ^ (node in flip)}\n".encode())
            file.write(f"{name(bad)}\n".encode())
            data = bytearray()
            for node in gates:
                fanin = self.fanin[node]
                assert fanin is not None
                high, low = sorted((name(fanin[0]), name(fanin[1])), reverse=True)
                for delta in (2 * number[node] - high, high - low):
                    while delta >= 128:
                        data.append(delta & 127 | 128)
                        delta >>= 7
                    data.append(delta)
            file.write(bytes(data))
        return len(latches)


@dataclass
class Netlist:
    """An ASCII AIGER file."""

    size: int = 0
    inputs: list[int] = field(default_factory=list)
    latches: list[tuple[int, int, int]] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    gates: list[tuple[int, int, int]] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> "Netlist":
        """Read it."""
        lines = iter(path.read_text(encoding="utf-8").splitlines())
        most, inputs, latches, outputs, gates = (int(word) for word in next(lines).split()[1:6])
        net = cls(most + 1)
        net.inputs = [int(next(lines)) for _ in range(inputs)]
        for _ in range(latches):
            words = [int(word) for word in next(lines).split()]
            net.latches.append((words[0], words[1], words[2] if len(words) > 2 else 0))
        net.outputs = [int(next(lines)) for _ in range(outputs)]
        for _ in range(gates):
            a, b, c = (int(word) for word in next(lines).split())
            net.gates.append((a, b, c))
        for line in lines:
            if line == "c":
                break
            key, _, name = line.partition(" ")
            net.names[key] = name
        return net

    def evaluate(self, graph: Graph, inputs: Sequence[int], states: Sequence[int]) -> tuple[list[int], list[int]]:
        """Build the logic of one cycle into a graph.

        Parameters
        ----------
        graph : Graph
            Where to.
        inputs, states : sequence of int
            Literals of all inputs and latches, in the file's order.

        Returns
        -------
        (list of int, list of int)
            Literals of all outputs, and of the latches' next values.
        """
        value = [0] * self.size
        for literal, given in zip(self.inputs, inputs, strict=True):
            value[literal >> 1] = given
        for (literal, _, _), given in zip(self.latches, states, strict=True):
            value[literal >> 1] = given
        both = graph.both
        for out, a, b in self.gates:
            value[out >> 1] = both(value[a >> 1] ^ (a & 1), value[b >> 1] ^ (b & 1))
        outputs = [value[literal >> 1] ^ (literal & 1) for literal in self.outputs]
        return outputs, [value[literal >> 1] ^ (literal & 1) for _, literal, _ in self.latches]

    def ports(self, kind: str, count: int) -> dict[str, list[int]]:
        """Return positions of the bits of every port (``i``, ``o``) or register (``l``), lowest first.

        What has no name (beyond a ROM's end) is left out; what has several stands under each.
        """
        ports: dict[str, dict[int, int]] = {}
        for position in range(count):
            for text in self.names.get(f"{kind}{position}", "").split():
                name, bit = _BIT.fullmatch(text).groups()  # type: ignore[union-attr]  # fits any text
                ports.setdefault(name, {})[int(bit or 0)] = position
        return {name: [bits[bit] for bit in sorted(bits)] for name, bits in ports.items()}


def check(path: Path, seconds: int, merge: bool) -> Outcome:
    """Ask the model checker whether an output is never 1.

    Parameters
    ----------
    path : Path
        Binary AIGER with one output.
    seconds : int
        Limit of the attempt.
    merge : bool
        Merge equal registers first, which is for small graphs.
    """
    merged = path.with_suffix(".merged")
    first = f"scorr; write_aiger {merged}; " if merge else ""
    try:
        answer = _abc(path, f"{first}pdr -T {seconds}", seconds)
        if "Property proved" in answer:
            return "proved"
        if "was asserted in frame" in answer:
            return "refuted"
        # What merging has made a constant is no question to pdr, which calls it undecided.
        output = _output(merged) if merged.exists() else None
    finally:
        merged.unlink(missing_ok=True)
    return "proved" if output == 0 else "refuted" if output == 1 else "open"


def _output(path: Path) -> int:
    """Return the literal of the only output of a binary AIGER file."""
    lines = path.read_bytes().split(b"\n")
    return int(lines[1 + int(lines[0].split()[3])])


def decide(path: Path, seconds: int) -> Outcome:
    """Ask the solver the same of a graph without latches."""
    answer = _abc(path, "strash; ifraig; dsat", seconds)
    if "UNSATISFIABLE" in answer:
        return "proved"
    return "refuted" if "SATISFIABLE" in answer else "open"


def _abc(path: Path, script: str, seconds: int) -> str:
    """Run ABC on a graph; return what it says, which is nothing if it takes too long."""
    program = find_yosys().program / "yosys-abc"
    try:
        done = captured([program, "-q", f"read_aiger {path}; {script}"], timeout=seconds + 20)
    except subprocess.TimeoutExpired:
        return ""
    except OSError as error:
        raise ToolError(f"cannot run {program}, which proves properties: {error.strerror}") from error
    return done.stdout
