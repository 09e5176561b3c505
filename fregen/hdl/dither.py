"""Dither for stochastic rounding.  Constants: :mod:`fregen.spec.dither`.  Golden twin: :mod:`fregen.golden.dither`."""

from amaranth.hdl import Const, Module, Mux, Signal, Value, ValueLike
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..fixed import DITHER_BITS
from ..spec.dither import COLUMN_BASIS, MIX, ROW_BASIS, first_key

__all__ = ["DitherUnit", "lane_dither"]


def _select(basis: tuple[int, ...], number: Value) -> Value:
    """XOR the words of a basis that the bits of a number select."""
    word: Value = Const(0, 32)
    for bit in range(min(len(number), len(basis))):
        word = word ^ Mux(number[bit], Const(basis[bit], 32), Const(0, 32))
    return word


def lane_dither(word: Value, lane: ValueLike) -> Value:
    """Dither of one lane from the word that all lanes share: two halves, the lane's own bits mixed in, added."""
    own = word ^ _select(ROW_BASIS, Value.cast(lane))
    return (own[:16] + own[16:])[:DITHER_BITS]


class DitherUnit(wiring.Component):
    """Make the word of one stored column and row group, that the lanes turn into their own dither.

    Bit-exact to :mod:`fregen.golden.dither` together with :func:`lane_dither`.

    Parameters
    ----------
    seed : int
        Seed of the key.
    lanes : int
        P; the row is ``group * P + lane``.
    id_width : int
        Bits of a column id.
    group_width : int
        Bits of a row group.

    Members
    -------
    step : ``In(1)``
        Move on to the key of the next update.
    column, group : ``In``
        Column id and row group of a beat.
    word : ``Out(32)``
        The shared word, 7 cycles after ``column`` and ``group``.

    Timing
    ------
    Latency 7 cycles, interval 1.  ``step`` only while no beat is under way.  After reset: the key of the first update.

    Raises
    ------
    ValueError
        If ``lanes`` is no power of two, or a width is 0.
    """

    LATENCY = 7

    def __init__(self, seed: int, lanes: int, id_width: int, group_width: int) -> None:
        if lanes < 1 or lanes & (lanes - 1):
            raise ValueError(f"lanes must be a power of two, not {lanes}")
        if id_width < 1 or group_width < 1:
            raise ValueError(f"id_width and group_width must be at least 1, not {id_width} and {group_width}")
        self.seed = seed
        self.lanes = lanes
        super().__init__(
            {
                "step": In(1),
                "column": In(id_width),
                "group": In(group_width),
                "word": Out(32),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        key = Signal(32, init=first_key(self.seed))
        with m.If(self.step):
            m.d.sync += key.eq(self._next(m, key))

        lane_bits = (self.lanes - 1).bit_length()
        stage: Value = key ^ _select(COLUMN_BASIS, self.column)
        row: Value = _select(ROW_BASIS[lane_bits:], self.group)
        for index in range(self.LATENCY - 1):
            mixed, passed = Signal(32, name=f"mixed_{index}"), Signal(32, name=f"row_{index}")
            m.d.sync += [mixed.eq(stage), passed.eq(row)]
            stage, row = mixed, passed
            if index < len(MIX):
                way, shift = MIX[index]
                stage = (mixed + (mixed << shift))[:32] if way > 0 else mixed ^ (mixed >> shift)
        m.d.sync += self.word.eq(stage ^ row)
        return m

    @staticmethod
    def _next(m: Module, key: Signal) -> Value:
        """Spell out xorshift32 (:func:`fregen.spec.dither.next_key`)."""
        word: Value = key
        for shift in (13, -17, 5):
            moved = Signal(32, name=f"xorshift_{abs(shift)}")
            m.d.comb += moved.eq(word ^ ((word << shift)[:32] if shift > 0 else word >> -shift))
            word = moved
        return word
