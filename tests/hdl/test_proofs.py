"""Arithmetic units proven for all inputs, by SAT: each beside a statement in plain arithmetic, written apart from it.

A rounded word r of w / 2**s is stated by the error: ``2 |w - r 2**s| <= 2**s``, and r is even where that is an
equality; a limited word by what the exact one would have been.  Pipelines are proven of any state that they may hold.
"""

import numpy as np
import pytest
from amaranth.hdl import Cat, Const, Mux, Signal, signed
from proving import circuit, late
from unit_bench import make_spec, plant

from fregen.fixed import DITHER_BITS, Q, Rounding
from fregen.hdl import requant
from fregen.hdl.dither import DitherUnit, lane_dither
from fregen.hdl.neuron import NeuronUnit
from fregen.hdl.update import UpdateUnit
from fregen.plan import PORTABLE

pytestmark = pytest.mark.rtl


def rounds_wrongly(exact, word, scale):
    """Whether a word is not ``exact / scale`` rounded to nearest, ties to even."""
    twice = 2 * (exact - word * scale)
    is_tie = (twice == scale) | (twice == -scale)
    return (twice > scale) | (twice < -scale) | (is_tie & word[0])


def limits_wrongly(exact, word, low, high):
    """Whether a word is not the nearest one to ``exact`` of those from low to high."""
    wanted = Mux(exact > high, high, Mux(exact < low, low, exact))
    return word != wanted


def rounds_and_limits_wrongly(exact, word, scale, q):
    """Whether a word is not ``exact / scale`` rounded and limited: beyond the last words it cannot be too near."""
    twice = 2 * (exact - word * scale)
    is_too_high = (twice < -scale) | ((twice == -scale) & word[0])
    is_too_low = (twice > scale) | ((twice == scale) & word[0])
    return (is_too_high & (word != q.min_word)) | (is_too_low & (word != q.max_word))


# Rounding and limits


def rounding(round_shift, cases):
    """Name, by width and shift, every case in which a rounding is wrong."""

    def build(m, inputs):
        wrong = {}
        for width, shift in cases:
            word = inputs["word"][:width].as_signed()
            rounded = Signal(signed(width + 8), name=f"rounded_{width}_{shift}")
            m.d.comb += rounded.eq(round_shift(word, shift))
            if shift >= 0:
                wrong[f"bad_{width}_{shift}"] = rounds_wrongly(word, rounded, Const(1 << shift))
            else:
                wrong[f"bad_{width}_left_{-shift}"] = rounded != word * (1 << -shift)
        return wrong

    return circuit({"word": signed(max(width for width, _ in cases))}, build)


SHIFTS = [(8, -3), (8, 1), (8, 3), (8, 11), (24, 9), (40, 20), (52, 36)]


def test_round_shift_is_to_nearest_ties_to_even():
    proofs = rounding(requant.round_shift, SHIFTS)
    assert len(proofs.outputs) == len(SHIFTS)
    assert proofs.never_after(0) == "proved"


def test_another_rounding_is_refuted():
    others = {
        "to the floor": lambda word, shift: word >> shift,
        "half up": lambda word, shift: (word + (1 << (shift - 1))) >> shift,
        "half to odd": lambda word, shift: requant.round_shift(word - (1 << shift), shift) + (word[shift] == 0),
        "the last bit lost": lambda word, shift: requant.round_shift(word & ~1, shift),
    }
    for name, other in others.items():
        assert rounding(other, [(24, 9)]).never_after(0) == "refuted", name


def limits(saturate, fits, cases):
    """Name every case in which limit or fit is wrong."""

    def build(m, inputs):
        wrong = {}
        for width, q in cases:
            word, low, high = inputs["word"][:width].as_signed(), -(1 << (q.width - 1)), (1 << (q.width - 1)) - 1
            wrong[f"limit_{width}_{q.width}"] = limits_wrongly(word, saturate(word, q), low, high)
            wrong[f"fit_{width}_{q.width}"] = fits(word, q.width) != ((word >= low) & (word <= high))
        return wrong

    return circuit({"word": signed(max(width for width, _ in cases))}, build)


FORMATS = [(3, Q(1, 3)), (8, Q(1, 3)), (9, Q(1, 7)), (16, Q(1, 15)), (17, Q(3, 13)), (40, Q(3, 13)), (52, Q(3, 21))]


def test_a_limited_word_is_the_nearest_that_there_is():
    proofs = limits(requant.saturate, requant.fits, FORMATS)
    assert len(proofs.outputs) == 2 * len(FORMATS)
    assert proofs.never_after(0) == "proved"


def test_another_limit_is_refuted():
    """By one constant: the least word but one; a bit too few looked at."""
    case = (40, Q(3, 13))

    def saturate(word, q):
        limited = requant.saturate(word, q)
        return Mux(limited == q.min_word, q.min_word + 1, limited)

    proofs = limits(saturate, lambda word, width: requant.fits(word[:-1].as_signed(), width), [case])
    assert {proofs.never_after(0, name) for name in proofs.outputs} == {"refuted"}


# Update


def update(rounding, cases):
    """State the updater: the change is the difference of the weights; where it is limited, the change was too great."""
    cycles = PORTABLE.update
    inputs = {"sum": signed(max(width for width, *_ in cases.values())), "dither": DITHER_BITS}
    inputs |= {"old": signed(max(q.width for _, q, _ in cases.values())), "shift": 5}

    def build(m, inputs):
        return {name: state(m, inputs, name, *case) for name, case in cases.items()}

    def state(m, inputs, name, width, weight, sigma):
        m.submodules[name] = unit = UpdateUnit(width, weight, rounding, sigma)
        least, shift = sigma[0], inputs["shift"][: len(unit.shift)]
        m.d.comb += [unit.sum.eq(inputs["sum"]), unit.shift.eq(shift), unit.dither.eq(inputs["dither"])]
        m.d.comb += unit.old.eq(inputs["old"])
        shift, total = late(m, shift, cycles), late(m, unit.sum, cycles) << max(-least, 0)
        dither, old = late(m, unit.dither, cycles - 1), late(m, unit.old, cycles - 2)

        def scaled(number):
            return (number << max(least, 0)) << shift

        # A limited change lies at or beyond the least that passes the highest word, or the greatest below the lowest.
        is_high, is_low = unit.saturated & (unit.new == weight.max_word), unit.saturated & (unit.new == weight.min_word)
        limit = Mux(is_high, weight.max_word + 1, weight.min_word - 1)
        change = Mux(unit.saturated, limit, unit.new) - old
        if rounding is Rounding.NEAREST:
            halves = 2 * change - is_high + is_low  # half a step before the change is where rounding comes to it
            error, half = 2 * total - scaled(halves), scaled(Const(1))
            is_even, is_tie = ~change[0], (error == half) | (error == -half)
            right = (error <= half) & (error >= -half) & (~is_tie | is_even)
            right_high, right_low = (error > 0) | ((error == 0) & is_even), (error < 0) | ((error == 0) & is_even)
        else:
            error = total * (1 << DITHER_BITS) + scaled(dither) - scaled(change << DITHER_BITS)
            right = (error >= 0) & (error < scaled(Const(1 << DITHER_BITS)))
            right_high, right_low = error >= 0, error < scaled(Const(1 << DITHER_BITS))
        return Mux(unit.saturated, ~((is_high & right_high) | (is_low & right_low)), ~right)

    return circuit(inputs, build)


UPDATES = {  # sum width, weight, least and greatest sigma
    "small": (8, Q(1, 3), (0, 3)),
    "left_shifts": (14, Q(2, 10), (-8, 7)),
    "one_sigma": (24, Q(2, 6), (12, 12)),
    "bits_16": (38, Q(3, 13), (15, 30)),
    "bits_24": (50, Q(3, 21), (16, 31)),
    "beyond_the_sum": (12, Q(1, 11), (9, 40)),
}


@pytest.mark.parametrize("rounding", list(Rounding))
def test_an_update_is_rounded_added_and_limited(rounding):
    proofs = update(rounding, UPDATES)
    assert len(proofs.outputs) == len(UPDATES)
    for name in proofs.outputs:
        assert proofs.never_after(PORTABLE.update, name) == "proved", name


FAULTS = {
    "half to odd": (Rounding.NEAREST, {"(rest | floor[0])": "(rest | ~floor[0])"}),
    "a sticky bit lost": (Rounding.NEAREST, {".any() | sticky": ".any()"}),
    "a bit of dither lost": (Rounding.STOCHASTIC, {"aligned + self.dither": "aligned + self.dither[1:]"}),
    "one too many": (Rounding.STOCHASTIC, {"self.old + delta": "self.old + delta + 1"}),
    "a limit not told": (
        Rounding.NEAREST,
        {"was_limited.eq(~is_fit)": "was_limited.eq(0)"},
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_another_update_is_refuted(monkeypatch, fault):
    rounding, changes = FAULTS[fault]
    plant(monkeypatch, UpdateUnit, changes)
    proofs = update(rounding, {"bits_16": UPDATES["bits_16"]})
    assert proofs.never_after(PORTABLE.update) == "refuted"


# Dither


def linear(*shifts):
    """Xorshift as a matrix over GF(2): column k is what it makes of bit k; a shift to the right is negative."""
    matrix = np.eye(32, dtype=np.int64)
    for shift in shifts:
        matrix = (matrix + np.eye(32, k=-shift, dtype=np.int64) @ matrix) % 2
    return matrix


def bits_of(word):
    return np.array([word >> k & 1 for k in range(32)])


def power(matrix, exponent):
    result = np.eye(32, dtype=np.int64)
    for _ in range(exponent):
        result = result @ matrix % 2
    return result


def number_of(bits):
    return sum(int(bit) << k for k, bit in enumerate(bits))


def times(matrix, word):
    """The product of a matrix over GF(2) and a word: every bit the parity of some."""
    return Cat((word & number_of(row)).xor() for row in matrix)


KEY_STEP = linear(13, -17, 5)


def words_of_basis(seed, count):
    return [number_of(power(KEY_STEP, 5 * (k + 1)) @ bits_of(seed) % 2) for k in range(count)]


def dither(seed, lanes, id_bits, group_bits):
    """State the dither of every lane by matrices, multiplications and parities, all in one cycle."""
    start = (seed * 0x9E3779B1 + 0x85EBCA6B) % 2**32
    start = number_of(power(KEY_STEP, 8) @ bits_of(start) % 2)
    lane_bits = (lanes - 1).bit_length()
    columns, rows = words_of_basis(0x2545F491, id_bits), words_of_basis(0x6C078965, lane_bits + group_bits)
    cycles = DitherUnit.LATENCY

    def build(m, inputs):
        m.submodules.unit = unit = DitherUnit(seed, lanes, id_bits, group_bits)
        m.d.comb += [getattr(unit, name).eq(inputs[name]) for name in inputs]
        mine = Signal(32, init=start)
        with m.If(inputs["step"]):
            m.d.sync += mine.eq(times(KEY_STEP, mine))
        column, group = late(m, inputs["column"], cycles), late(m, inputs["group"], cycles)
        word = late(m, mine, cycles)
        for k, constant in enumerate(columns):
            word = word ^ (column[k].replicate(32) & constant)
        for number, factor in enumerate((1025, None, 9, None, 32769)):
            step = Signal(32, name=f"step_{number}")
            matrix = linear(-6) if number == 1 else linear(-11)
            m.d.comb += step.eq(word * factor if factor else times(matrix, word))
            word = step
        wrong = {}
        for lane in range(lanes):
            row = Cat(Const(lane, lane_bits), group)
            mixed = word
            for k, constant in enumerate(rows):
                mixed = mixed ^ (row[k].replicate(32) & constant)
            found = lane_dither(unit.word, lane)
            wrong[f"lane_{lane}"] = found != (mixed[:16] + mixed[16:])[:16]
        return wrong

    return circuit({"step": 1, "column": id_bits, "group": group_bits}, build)


SAME_KEY = {"unit.key": "mine"}


@pytest.mark.parametrize(("seed", "lanes"), [(0, 1), (2**31 - 1, 4)])
def test_dither_is_that_of_key_column_and_row(seed, lanes):
    """Of every column and row, for every key: the key itself is proven to take the same steps."""
    assert dither(seed, lanes, 6, 3).never_after(DitherUnit.LATENCY, same=SAME_KEY) == "proved"


DITHER_FAULTS = {
    "another step of the key": (DitherUnit, "_next", {"(13, -17, 5)": "(13, -17, 6)"}),
    "a key that skips a step": (DitherUnit, "elaborate", {"self._next(m, key)": "key"}),
    "another step of the mix": (DitherUnit, "elaborate", {"mixed << shift": "mixed << (shift + 1)"}),
    "a row one bit off": (DitherUnit, "elaborate", {"ROW_BASIS[lane_bits:]": "ROW_BASIS[lane_bits + 1:]"}),
}


@pytest.mark.parametrize("fault", DITHER_FAULTS)
def test_another_dither_is_refuted(monkeypatch, fault):
    kind, method, changes = DITHER_FAULTS[fault]
    plant(monkeypatch, kind, changes, method)
    assert dither(7, 2, 4, 2).never_after(DitherUnit.LATENCY, same=SAME_KEY) == "refuted"


# Neurons

GAP = 4
"""Cycles from a neuron's state to its offset: the slope must have been written by then."""


def neuron(state, weight, offset, function="tanh", segments=8, form="offset", contexts=1):
    """State what a neuron makes of a sum: by the segment's line through its knot; of an offset, by the slope kept.

    An offset comes ``GAP`` cycles after the neuron's state, and nothing else of the same neuron in between; a neuron of
    another sample in flight is another one.
    """
    activation = {"function": function, "segments": segments}
    numerics = {"state": state, "weight": weight, "offset": offset, "activation": activation}
    spec = make_spec((3, 2, 2), 1, numerics=numerics, learning={"nudged": form}, network={"beta": 2**-2})
    table, width, neurons = spec.activation, spec.sum_width, 2
    cycles, word_width = PORTABLE.neuron, max(spec.state.width, spec.offset.width)
    inputs = {"valid": 1, "sum": signed(width), "neuron": 1, "is_offset": 1}
    inputs |= {"context": 1} if contexts > 1 else {}

    def line(total):
        """Distance from the segment's knot, and knot and slope there: of a flat part too, whose slope is 0."""
        magnitude, size = Mux(total < 0, -total, total), 1 << spec.tau
        inside, knot, slope = magnitude, Const(table.knots[-1]), Const(0)
        for number, ends in reversed([*enumerate(zip(table.knots[:-1], table.slopes, strict=True))]):
            is_in = (magnitude >= number * size) & (magnitude < (number + 1) * size)
            inside = Mux(is_in, magnitude - number * size, inside)
            knot, slope = (Mux(is_in, word, other) for word, other in zip(ends, (knot, slope), strict=True))
        is_zero = (total < 0) & (not table.odd)
        return inside, Mux(is_zero, 0, knot), Mux(is_zero, 0, slope)

    def build(m, inputs):
        m.submodules.unit = unit = NeuronUnit(spec, width, neurons, word_width, contexts=contexts)
        m.d.comb += [getattr(unit, name).eq(inputs[name]) for name in inputs if name != "is_offset"]
        m.d.comb += unit.is_offset.eq(inputs["is_offset"] & int(spec.has_offsets))
        now = {name: late(m, getattr(unit, name), cycles) for name in ("valid", "sum", "is_offset", "context")}
        now["neuron"] = late(m, Cat(unit.neuron, unit.context), cycles)
        total, wrong = now["sum"], {}
        inside, knot, slope = line(total)
        height = (knot << spec.tau) + inside * slope
        exact = Mux(total < 0, -height, height)
        is_wrong = rounds_and_limits_wrongly(exact, unit.o_word, 1 << spec.state_shift, spec.state)
        wrong["state"] = now["valid"] & ~now["is_offset"] & is_wrong
        wrong["passed"] = (unit.o_valid != now["valid"]) | (unit.o_offset != now["is_offset"])
        if contexts > 1:
            wrong["passed"] |= unit.o_context != now["context"]
        if not spec.has_offsets:
            return wrong

        before = {name: late(m, now[name], GAP) for name in ("valid", "sum", "neuron", "is_offset")}
        is_alone = before["valid"] & ~before["is_offset"] & (before["neuron"] == now["neuron"])
        for k in range(GAP):
            other = {name: late(m, now[name], k) for name in ("valid", "neuron")}
            is_alone &= ~other["valid"] | (other["neuron"] != now["neuron"]) if k else 1

        product, scale = total * line(before["sum"])[2], 1 << spec.offset_shift
        is_limited = now["valid"] & (
            (2 * product >= (2 * spec.offset.max_word + 1) * scale)
            | (2 * product < (2 * spec.offset.min_word - 1) * scale)
        )
        is_wrong = rounds_and_limits_wrongly(product, unit.o_word, scale, spec.offset)
        is_wrong |= unit.saturated != is_limited
        wrong["offset"] = is_alone & now["valid"] & now["is_offset"] & is_wrong
        return wrong

    return circuit(inputs, build)


NEURONS = {
    "4 bits": ("q1.3", "q1.3", "q1.3", "tanh", 8),
    "never negative": ("q1.5", "q2.4", "q3.3", "hard-sigmoid", 1),
}


@pytest.mark.parametrize("setting", NEURONS)
def test_a_neuron_is_on_its_line_and_an_offset_takes_its_slope(setting):
    proofs = neuron(*NEURONS[setting])
    assert set(proofs.outputs) == {"state", "offset", "passed"}
    assert proofs.never_after(GAP + PORTABLE.neuron) == "proved"


def test_a_neuron_of_two_samples_in_flight_takes_the_slope_of_its_own():
    proofs = neuron(*NEURONS["4 bits"], contexts=2)
    assert set(proofs.outputs) == {"state", "offset", "passed"}
    assert proofs.never_after(GAP + PORTABLE.neuron) == "proved"


@pytest.mark.parametrize("place", ["Cat(self.neuron, Const(0, self.context_bits))", "Cat(self.context, Const(0, 1))"])
def test_a_slope_of_another_sample_in_flight_is_refuted(monkeypatch, place):
    plant(monkeypatch, NeuronUnit, {"Cat(self.neuron, self.context[: self.context_bits])": place})
    assert neuron(*NEURONS["4 bits"], contexts=2).never_after(GAP + PORTABLE.neuron, "offset") == "refuted"


@pytest.mark.long
def test_a_neuron_of_8_bits_is_on_its_line():
    proofs = neuron("q1.7", "q2.6", "q1.7")
    assert proofs.never_after(GAP + PORTABLE.neuron, seconds=600) == "proved"


def test_a_neuron_without_offsets_is_on_its_line():
    proofs = neuron("q1.4", "q1.4", "q1.4", form="states")
    assert set(proofs.outputs) == {"state", "passed"}
    assert proofs.never_after(PORTABLE.neuron) == "proved"


NEURON_FAULTS = {
    "a segment too early": {"magnitude[spec.tau + seg_bits :]": "magnitude[spec.tau + seg_bits - 1 :]"},
    "a slope where it is flat": {"used.eq(Mux(zero, 0, slope))": "used.eq(slope)"},
    "the slope of the other neuron": {
        "self._kept_slope(m, family, neuron,": "self._kept_slope(m, family, [~n for n in neuron[:2]] + neuron[2:],"
    },
    "no sign": {"-rounded if table.odd else 0": "rounded"},
    "a limit not told": {"& ~offset_fits": "& Const(0, 1)"},
}


@pytest.mark.parametrize("fault", NEURON_FAULTS)
def test_another_neuron_is_refuted(monkeypatch, fault):
    plant(monkeypatch, NeuronUnit, NEURON_FAULTS[fault])
    assert neuron(*NEURONS["4 bits"]).never_after(GAP + PORTABLE.neuron) == "refuted"
