"""The vector memories against arrays: random writes, reads, copies and differences, cycle by cycle."""

import numpy as np
import pytest
from amaranth.hdl import Value
from unit_bench import make_sizes, pack, plant, play, unpack

from fregen.hdl.vectors import VectorUnit

pytestmark = pytest.mark.rtl

FORMS = {
    "states": {"state": "q1.7", "error": "q1.5"},
    "offset": {"state": "q1.9", "offset": "q1.5", "error": "q1.7"},
    "wide error": {"state": "q1.3", "offset": "q1.5", "error": "q1.11"},
}


def differences(lanes, form, cycles=500, seed=0, samples=1, drain=1):
    """Random traffic; what differs from two arrays, and how many lines were compared."""
    sections = {"learning": {"nudged": "states" if form == "states" else "offset", "batch": 1}}
    sections["hardware"] = {"samples": samples, "drain": drain}
    sizes = make_sizes((3, 2 * lanes + 1, 3), lanes, numerics=FORMS[form], **sections)
    rng, unit = np.random.default_rng(seed), VectorUnit(sizes)
    depth = sizes.memory.planes * sizes.memory.plane_size
    widths = {"state": sizes.state_width, "offset": sizes.offset_width}
    contents = {name: np.zeros((sizes.memory.planes, sizes.memory.plane_size, lanes), np.int64) for name in widths}
    shown = {name: [0] * lanes for name in widths}  # what the read ports deliver in this cycle
    kept = [0] * lanes
    rows, expected = [], []

    def place(name, address):
        """Where a row lies: planes of states have no rows of errors."""
        plane, local = divmod(address, sizes.memory.plane_size)
        return plane, local % (sizes.memory.state_plane_size if name == "state" else sizes.memory.plane_size)

    for cycle in range(cycles):
        row = {f"read.{name}": int(rng.integers(depth)) for name in widths}
        if cycle % 7 == 0:  # read what was written in the cycle before
            row |= {
                f"read.{name}": rows[-1]["write.address"] for name in widths if rows and "write.address" in rows[-1]
            }
        row |= dict.fromkeys(("write.valid", "move.copy", "move.keep", "move.subtract"), 0)
        line = None
        kind = rng.choice(["word", "word", "word", "copy", "keep", "subtract", "nothing"])
        if kind == "subtract" and form != "states":
            kind = "nothing"
        moved = int(rng.integers(depth))
        writes = []
        if kind == "word":
            name = "offset" if rng.integers(2) else "state"
            low = -(1 << (widths[name] - 1))
            words = [int(rng.choice([low, -low - 1, int(rng.integers(low, -low))])) for _ in range(drain)]
            # Words of a tile's neurons, the first so many, or an error, which may be in any lane.
            count, one = int(rng.integers(1, drain + 1)), int(rng.integers(drain))
            valid, first = [(1 << count) - 1, 1 << one][rng.integers(2)], drain * int(rng.integers(lanes // drain))
            row |= {
                "write.valid": valid,
                "write.is_offset": int(name == "offset"),
                "write.address": moved,
                "write.lane": first,
                "write.words": pack(words, sizes.word_width),
            }
            writes = [(name, moved, first + k, words[k]) for k in range(drain) if valid >> k & 1]
            line = words * (lanes // drain)
        elif kind == "copy":
            name = "offset" if rng.integers(2) else "state"
            row |= {"move.copy": 1, "move.to_offsets": int(name == "offset"), "move.target": moved}
            writes = [(name, moved, lane, shown[name][lane]) for lane in range(lanes)]
            line = shown[name]
        elif kind == "subtract":
            row |= {"move.subtract": 1, "move.target": moved}
            line = [a - b for a, b in zip(kept, shown["state"], strict=True)]
            writes = [("offset", moved, lane, line[lane]) for lane in range(lanes)]
        elif kind == "keep":
            row["move.keep"] = 1
        rows.append(row)
        expected.append(([*shown["state"]], [*shown["offset"]], line))
        if kind == "keep":
            kept = shown["state"]
        shown = {name: contents[name][place(name, row[f"read.{name}"])].tolist() for name in widths}
        for name, address, lane, word in writes:
            contents[name][*place(name, address), lane] = word
    found = play(unit, rows, [Value.cast(port) for port in (unit.read.states, unit.read.offsets, unit.written)])
    wrong = []
    for cycle, ((states, offsets, line), want) in enumerate(zip(found, expected, strict=True)):
        got = (unpack(states, widths["state"], lanes), unpack(offsets, widths["offset"], lanes))
        if got != want[:2]:
            wrong.append((cycle, got, want[:2]))
        if want[2] is not None and unpack(line, sizes.word_width, lanes) != want[2]:
            wrong.append((cycle, "line"))
    return wrong, len(expected)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("lanes", "drain"), [(1, 1), (2, 1), (8, 1), (2, 2), (8, 2), (4, 4), (8, 4)])
def test_traffic_equals_arrays(lanes, drain, form):
    wrong, compared = differences(lanes, form, drain=drain)
    assert not wrong, wrong[:3]
    assert compared == 500


def test_samples_in_flight_have_planes_of_their_own():
    """Traffic over all planes, of which there are more: a slot, a scratch and a next plane for each one."""
    wrong, _ = differences(2, "states", samples=4)
    assert not wrong, wrong[:3]


def test_a_contrast_holds_the_greatest_difference():
    """One bit wider than a state: -128 - 127 = -255."""
    sizes = make_sizes(
        (3, 1, 2), 1, numerics={"state": "q1.7", "error": "q1.3"}, learning={"nudged": "states", "batch": 1}
    )
    assert sizes.offset_width == 9
    write = {"write.valid": 1, "write.is_offset": 0, "write.lane": 0}
    rows = [
        {**write, "write.address": 0, "write.words": -128}, {**write, "write.address": 4, "write.words": 127},
        {"write.valid": 0, "read.state": 0}, {"read.state": 4, "move.keep": 1},
        {"move.keep": 0, "move.subtract": 1, "move.target": 3}, {"move.subtract": 0, "read.offset": 3}, {},
    ]  # fmt: skip
    unit = VectorUnit(sizes)
    assert unpack(play(unit, rows, [Value.cast(unit.read.offsets)])[-1][0], 9, 1) == [-255]


def test_words_fill_the_line_of_their_lane_only():
    sizes = make_sizes((3, 4, 2), 4)
    unit = VectorUnit(sizes)
    rows = [
        {"write.valid": 1, "write.address": 1, "write.lane": 2, "write.words": -3, "read.state": 1},
        {"write.valid": 0},
        {},
    ]
    assert play(unit, rows, [Value.cast(unit.read.states)])[-1][0] == pack([0, 0, -3, 0], sizes.state_width)


@pytest.mark.parametrize(("valid", "row"), [(0b01, [0, 0, -3, 0]), (0b10, [0, 0, 0, 5]), (0b11, [0, 0, -3, 5])])
def test_words_that_come_together_go_to_lanes_side_by_side(valid, row):
    """The second word alone is an error of the fourth class."""
    sizes = make_sizes((3, 4, 2), 4, hardware={"drain": 2})
    words = pack([-3, 5], sizes.word_width)
    write = {"write.valid": valid, "write.address": 1, "write.lane": 2, "write.words": words, "read.state": 1}
    unit = VectorUnit(sizes)
    found = play(unit, [write, {"write.valid": 0}, {}], [Value.cast(unit.read.states)])
    assert found[-1][0] == pack(row, sizes.state_width)


MUTANTS = {
    "a difference the other way round": {
        "kept[lane] - read.states[lane]": "read.states[lane] - kept[lane]",
    },
    "a keep in every cycle": {"with m.If(move.keep)": "with m.If(1)"},
    "words in every lane": {"write.valid << write.lane": "(write.valid != 0).replicate(lanes)"},
    "words in the first lanes": {"write.valid << write.lane": "write.valid"},
    "words in the lanes below": {"write.valid << write.lane": "write.valid << (write.lane >> 1)"},
    "the first word of two alone": {"write.valid << write.lane": "write.valid[0] << write.lane"},
    "one word in both lanes": {"write.words[lane % self.sizes.drain]": "write.words[0]"},
    "words exchanged": {"write.words[lane % self.sizes.drain]": "write.words[~lane % self.sizes.drain]"},
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_the_bench_sees(monkeypatch, mutant):
    plant(monkeypatch, VectorUnit, MUTANTS[mutant])
    assert differences(4, "states", drain=2)[0]
