"""What all unit benches share: a spec from a few words, and a player that drives a unit cycle by cycle.

A *row* is what the inputs of one cycle are set to (inputs that a row leaves out keep their value).  :func:`play`
returns what the outputs were in every cycle, before its closing edge: with a latency of L cycles the answer to row t
stands in record t + L.
"""

import inspect
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any

import numpy as np
from amaranth.hdl import Cat, Elaboratable, Module, Signal, Value
from amaranth.lib import data
from amaranth.sim import Simulator

from fregen.design.document import Design
from fregen.hdl.beat import Sizes
from fregen.plan import PORTABLE, Pipeline, Schedule
from fregen.spec.network import NetworkSpec

PERIOD = 1e-6


def make_spec(layers: Sequence[int] = (5, 4, 3), lanes: int = 4, **sections: Any) -> NetworkSpec:
    """A small design; sections as in a design file, ``network`` without layers."""
    network = {"layers": tuple(layers), **sections.pop("network", {})}
    hardware = {"lanes": lanes, **sections.pop("hardware", {})}
    return NetworkSpec(Design.parse({"name": "t", "network": network, "hardware": hardware, **sections}))


def make_sizes(*args: Any, pipeline: Pipeline = PORTABLE, **sections: Any) -> Sizes:
    """Sizes of a small design; arguments of :func:`make_spec`."""
    return Sizes(Schedule.of(make_spec(*args, **sections), pipeline))


class Watched:
    """A unit, and values in it as the bits of one signal: the simulator reads a signal ten times as fast as a field.

    Attributes
    ----------
    module : Module
        What to simulate.
    bits : Signal
        What to sample.
    """

    def __init__(self, dut: Elaboratable, values: Iterable[Any]) -> None:
        values = [Value.cast(value) for value in values]
        self.module, self.bits = Module(), Signal(sum(map(len, values)))
        self.module.submodules.dut = dut
        self.module.d.comb += self.bits.eq(Cat(*values))
        self._places, offset = [], 0
        for value in values:
            least = 1 << len(value) - 1 if value.shape().signed else 0
            self._places.append((offset, (1 << len(value)) - 1, least))
            offset += len(value)

    def values(self, bits: int) -> list[int]:
        """Take a sample apart; values of signed shapes are signed."""
        # (n ^ least) - least is n with its sign: that of an unsigned value is 0
        return [((bits >> offset & mask) ^ least) - least for offset, mask, least in self._places]


def play(
    dut: Elaboratable, rows: Iterable[Mapping[str, Any]], outputs: Sequence[Any], after: int = 0, clocked: bool = True
) -> list[tuple[Any, ...]]:
    """Set one row of inputs a cycle, then wait ``after`` cycles more.

    Parameters
    ----------
    dut : component
        Its attributes are the inputs that rows name; of a member's member by a dotted name.
    rows : iterable of dict
        Numbers; ports with a layout take the number of all their bits.
    outputs : sequence of str or values
        What to record: attributes of the dut, or expressions.

    Returns
    -------
    list of tuple of int
        One entry a cycle, in the order of ``outputs``.
    """
    watched = Watched(dut, [attrgetter(item)(dut) if isinstance(item, str) else item for item in outputs])
    rows = list(rows)
    records: list[tuple[Any, ...]] = []
    inputs: dict[str, Value] = {}
    simulator = Simulator(watched.module)
    if clocked:
        simulator.add_clock(PERIOD)

    async def drive(ctx: Any) -> None:
        with ctx.critical():
            await every_row(ctx)

    async def every_row(ctx: Any) -> None:
        for row in [*rows, *({} for _ in range(after))]:
            for name, number in row.items():
                if name not in inputs:
                    inputs[name] = Value.cast(attrgetter(name)(dut))
                ctx.set(inputs[name], int(number))
            *_, bits = await (ctx.tick() if clocked else ctx.delay(PERIOD)).sample(watched.bits)
            records.append(tuple(watched.values(bits)))

    simulator.add_process(drive)
    simulator.run()
    assert len(records) == len(rows) + after, "the bench has not played all its rows"
    return records


def run(dut: Elaboratable, *benches: Any, cycles: int = 100_000) -> None:
    """Run test benches (async functions of a context) until all have ended.

    Raises
    ------
    AssertionError
        If they have not ended within so many cycles.
    """
    simulator = Simulator(dut)
    simulator.add_clock(PERIOD)
    ended = []

    def watched(bench: Any) -> Any:
        async def whole(ctx: Any) -> None:
            await bench(ctx)
            ended.append(bench)

        return whole

    for bench in benches:
        simulator.add_testbench(watched(bench))

    async def guard(ctx: Any) -> None:
        for _ in range(cycles // 64 + 1):
            await ctx.tick().repeat(64)
            if len(ended) == len(benches):
                return
        raise AssertionError(f"{len(benches) - len(ended)} of {len(benches)} benches still run after {cycles} cycles")

    simulator.add_testbench(guard)
    simulator.run()


def pack(words: Iterable[int], width: int) -> int:
    """Words side by side in one number, the first lowest."""
    number = 0
    for place, word in enumerate(words):
        number |= (int(word) & ((1 << width) - 1)) << (place * width)
    return number


def unpack(number: int, width: int, count: int, is_signed: bool = True) -> list[int]:
    """The inverse of :func:`pack`."""
    words = [number >> (place * width) & ((1 << width) - 1) for place in range(count)]
    return [word - (1 << width) if is_signed and word >> (width - 1) else word for word in words]


def packed(layout: Any, **fields: int) -> int:
    """Number of all bits of a struct layout; fields in groups by their own names."""
    number, places = 0, flat(layout)
    for name, word in fields.items():
        offset, width = places[name]
        assert -(1 << max(width - 1, 0)) <= word < 1 << width, f"{name} = {word} does not fit {width} bits"
        number |= (int(word) & ((1 << width) - 1)) << offset
    return number


def flat(layout: Any, at: int = 0) -> dict[str, tuple[int, int]]:
    """Offset and width of every field of a struct layout, also of those in groups."""
    places: dict[str, tuple[int, int]] = {}
    for name, field in layout:
        inner = flat(field.shape, at + field.offset) if isinstance(field.shape, data.StructLayout) else {}
        inner = inner or {name: (at + field.offset, field.width)}
        assert not inner.keys() & places.keys(), f"two fields have one name: {inner.keys() & places.keys()}"
        places |= inner
    return places


def random_words(rng: np.random.Generator, width: int, count: int) -> list[int]:
    """Signed words of all magnitudes: so many bits, so often."""
    sizes = rng.integers(0, width, count)
    return [int(rng.integers(-(1 << size), 1 << size)) if size else int(rng.integers(-1, 1)) for size in sizes]


def plant(monkeypatch: Any, kind: type, changes: Mapping[str, str], method: str = "elaborate") -> None:
    """Plant a fault in a unit: change the text of one of its methods for the time of a test.

    Parameters
    ----------
    monkeypatch : pytest.MonkeyPatch
        Takes the fault back.
    kind : type
        The unit.
    changes : dict
        Text, which the method must hold exactly once, and what stands there instead.
    method : str
        Its name.
    """
    original = getattr(kind, method)
    text = textwrap.dedent(inspect.getsource(original))
    for old, new in changes.items():
        assert text.count(old) == 1, f"{kind.__name__}.{method} holds {old!r} {text.count(old)} times"
        text = text.replace(old, new)
    scope: dict[str, Any] = {}
    exec(compile(text, f"<planted in {kind.__name__}>", "exec"), inspect.unwrap(original).__globals__, scope)
    monkeypatch.setattr(kind, method, scope[method])
