"""The lanes at work, told by hand-made beats: products by broadcast and ring, drives, learning; against numpy."""

import inspect
from itertools import cycle

import numpy as np
import pytest
from amaranth.hdl import Signal
from unit_bench import make_sizes, pack, packed, plant, play, unpack

from fregen.fixed import Rounding, round_shift, round_shift_dithered
from fregen.golden import DitherModel
from fregen.hdl import array as array_module
from fregen.hdl.array import ArrayUnit
from fregen.hdl.beat import beat_layout
from fregen.hdl.lane import LaneUnit
from fregen.plan import PORTABLE, Drain, Pipeline, pack_weights
from fregen.plan.pipeline import ECP5

pytestmark = pytest.mark.rtl

LANES = (1, 2, 4, 8)
LAYERS = (5, 11, 9, 3)

DEEP = {
    "memories with output registers": Pipeline(read=2),
    "multipliers with all their registers": Pipeline(multiply=3),
    "every stage deeper": Pipeline(*(2 + k for k in range(9))),
    "an address that is there as soon as the list answers": Pipeline(address=2, steer=2, scan=2),
    "addresses and operands in steps": Pipeline(address=4, read=2, operand=3, steer=2, scan=2),
    "registers of the lanes' own": Pipeline(operand=2, multiply=2, spread=1),
    "those of a family": ECP5,
}


def sizes_of(lanes, rounding="nearest", pipeline=PORTABLE, samples=1, drain=1):
    numerics = {"state": "q1.7", "weight": "q2.10", "offset": "q1.8", "rounding": rounding}
    sections = {"numerics": numerics, "learning": {"batch": 2}, "network": {"beta": 2**-3}}
    sections["hardware"] = {"samples": samples, "drain": drain}
    return make_sizes(LAYERS, lanes, pipeline=pipeline, **sections)


class Player:
    """Beats, and what the memories answer to each of them, in the right cycles."""

    def __init__(self, sizes, seed=0):
        self.sizes, self.layout = sizes, beat_layout(sizes)
        self.rng = np.random.default_rng(seed)
        self.memory, self.spec = sizes.memory, sizes.spec
        q = self.spec.weight
        self.weights = [
            self.rng.integers(q.min_word, q.max_word + 1, self.spec.graph.shape(m)) for m in self.spec.graph.matrices
        ]
        self.rows = []
        image = pack_weights(self.memory, self.weights)
        for address, words in enumerate(image):
            for lane, word in enumerate(words):
                self.at(
                    len(self.rows),
                    **{"outside.load": 1, "outside.lane": lane, "outside.word": word, "outside.address": address},
                )
        self.at(len(self.rows), **{"outside.load": 0})
        self.now = len(self.rows)

    def at(self, cycle, **inputs):
        self.rows += [{} for _ in range(cycle + 1 - len(self.rows))]
        self.rows[cycle].update(inputs)

    def beat(self, states=(), offsets=(), word=0, index=0, **fields):
        """One beat; lines of states and offsets come when the memories answer."""
        lanes, cycle = self.sizes.lanes, self.now
        self.at(cycle, beat=packed(self.layout, valid=1, **fields))
        self.at(cycle + 1, beat=0)
        self.at(cycle + self.sizes.pipeline.address - self.sizes.pipeline.lead, index=index)
        fill = self.rng.integers(-8, 8, lanes).tolist()  # what an unused port happens to show
        cycle += self.sizes.pipeline.answered
        self.at(cycle, input_word=word, **{"vectors.states": pack((*states,) or fill, self.sizes.state_width)})
        self.at(cycle, **{"vectors.offsets": pack((*offsets,) or fill, self.sizes.offset_width)})
        self.now += 1

    def wait(self, cycles):
        self.now += cycles

    def line(self, words, group):
        """P words of a vector; beyond its end 0."""
        part = words[group * self.sizes.lanes : (group + 1) * self.sizes.lanes]
        return [int(word) for word in part] + [0] * (self.sizes.lanes - len(part))

    def play(self, outputs):
        after = 23 + self.sizes.pipeline.learnt
        return play(ArrayUnit(self.sizes), self.rows, outputs, after=after + self.now - len(self.rows))

    def stored(self, matrix):
        """Base, stride and stored rows and columns of a matrix."""
        m = self.spec.graph.matrices[matrix]
        return self.memory.weight_bases[matrix], self.memory.row_stride(m), *self.memory.stored_shape(m)

    def words(self, count, q=None):
        q = q or self.spec.state
        return self.rng.integers(q.min_word, q.max_word + 1, count)

    def broadcast(self, matrix, vector, tile, last=None, kind="states", first=None, shift=0):
        """Stored rows times a vector, for one tile: one word a beat to all lanes."""
        base, stride, _, columns = self.stored(matrix)
        lanes = self.sizes.lanes
        for j in range(columns):
            fields = {"weight": base + tile * stride + j, "shift": shift, "select": j % lanes}
            lines = {kind: self.line(vector, j // lanes)} if kind != "word" else {"word": vector[j]}
            if kind == "offsets":
                fields["shared_is_offset"] = 1
            if kind == "word":
                fields |= {"shared_is_input": 1, "from_list": 1, "weight": base + tile * stride}
                lines["index"] = j
            if j == 0:
                fields |= first if first is not None else {"clear": 1}
            if j == columns - 1:
                fields |= last or {}
            self.beat(**lines, **fields)

    def ring(self, matrix, vector, tile, last=None, kind="states", first=None, shift=0):
        """Stored columns times a vector, for one tile: sums wander."""
        base, stride, rows, _ = self.stored(matrix)
        lanes, groups = self.sizes.lanes, self.memory.groups(rows)
        for g in range(groups):
            for t in range(lanes):
                fields = {"weight": base + tile * lanes + g * stride, "ring": 1, "rotate": t, "shift": shift}
                fields["own_is_offset"] = int(kind == "offsets")
                if g == t == 0:
                    fields |= first if first is not None else {"clear": 1}
                if g == groups - 1 and t == lanes - 1:
                    fields |= last or {}
                self.beat(**{kind: self.line(vector, g)}, **fields)


OUTPUTS = [
    f"o.{name}" for name in ("valid", "sums", "lane", "drain", "neuron", "target", "first", "wants_error", "context")
]


def drained(sizes, found):
    """Cycle and fields of every sum that came out, with the lane of its own."""
    return [
        (cycle, word, lane + k, *fields)
        for cycle, (valid, sums, lane, *fields) in enumerate(found)
        for k, word in enumerate(unpack(sums, sizes.sum_width, sizes.drain))
        if valid >> k & 1
    ]


def product_differences(lanes, pipeline=PORTABLE, samples=1, drain=1):
    """W·s by broadcast of states, offsets and words, Wᵀ·s by ring, shifted; back to back: sums, order, cycles.

    Tile after tile is of another sample in flight.  All but logits leave D at a time: those one a cycle, in the lanes
    that their classes have.
    """
    player = Player(sizes_of(lanes, pipeline=pipeline, samples=samples, drain=drain))
    memory, layers, shifts = player.memory, player.spec.graph.layers, player.sizes.schedule.shifts
    expected = []

    def tiles(size, wanted, add, kind=Drain.STATE, **fields):
        width = 1 if kind is Drain.SOFTMAX else drain
        for tile in range(memory.groups(size)):
            count = memory.tile(size, tile)
            last = {
                "drain": int(kind),
                "drain_count": count,
                "target": tile + 1,
                "neuron": tile * (lanes // width),
                "context": len(expected) % samples,
                **fields,
            }
            add(tile, last)
            for k in range(count):
                flags = fields.get("first", 0), fields.get("wants_error", 0)
                place = (k, last["drain"], last["neuron"] + k // width, tile + 1, *flags, last["context"])
                cycle = player.now - 1 + player.sizes.pipeline.drained + k // width
                expected.append((cycle, int(wanted[tile * lanes + k]), *place))
            least = 3  # beats of any tile, so that the next one ends as soon as it may, or later
            player.wait(int(player.rng.integers(3)) + max(0, -(-count // width) - least))

    W = player.weights
    turn = cycle(enumerate(shifts))
    for _ in range(2):
        s, words = player.words(LAYERS[1]), player.words(LAYERS[0])
        d, e = player.words(LAYERS[2], player.spec.offset), player.words(LAYERS[3], player.spec.error)
        after = layers[2].size
        position, shift = next(turn)
        product = W[1] @ s << shift
        tiles(after, product, lambda t, last, s=s, p=position: player.broadcast(1, s, t, last, shift=p), first=1)
        position, shift = next(turn)
        product = W[0] @ words << shift
        tiles(LAYERS[1], product, lambda t, last, x=words, p=position: player.broadcast(0, x, t, last, "word", shift=p))
        position, shift = next(turn)
        product = W[1].T @ d << shift
        tiles(
            LAYERS[1],
            product,
            lambda t, last, d=d, p=position: player.ring(1, d, t, last, "offsets", shift=p),
            Drain.OFFSET,
        )
        # The output's matrix is stored transposed: its own product goes by ring, the error's by broadcast.
        for wants_error in (1, 0):  # of two samples, one after the other
            position, shift = next(turn)
            product = W[2] @ d << shift
            tiles(
                LAYERS[3],
                product,
                lambda t, last, d=d, p=position: player.ring(2, d, t, last, "offsets", shift=p),
                Drain.SOFTMAX,
                wants_error=wants_error,
            )
        position, shift = next(turn)
        product = W[2].T @ e << shift
        tiles(LAYERS[2], product, lambda t, last, e=e, p=position: player.broadcast(2, e, t, last, "offsets", shift=p))
    found = drained(player.sizes, player.play(OUTPUTS))
    assert len(shifts) <= 12
    assert len(expected) == 2 * (9 + 11 + 11 + 3 + 3 + 9)
    return [(got, want) for got, want in zip(found, expected, strict=False) if got != want] or found[len(expected) :]


@pytest.mark.parametrize("lanes", LANES)
def test_products_equal_numpy(lanes):
    assert len(sizes_of(lanes).schedule.shifts) > 2
    wrong = product_differences(lanes)
    assert not wrong, wrong[:5]


@pytest.mark.parametrize(("lanes", "drain"), [(2, 2), (4, 2), (8, 2), (4, 4), (8, 4)])
def test_neurons_leave_several_at_a_time_and_logits_one_by_one(lanes, drain):
    """11 and 9 neurons on 8 lanes leave a last group of 3, and of 1."""
    wrong = product_differences(lanes, drain=drain)
    assert not wrong, wrong[:5]


@pytest.mark.parametrize(("lanes", "samples"), [(1, 2), (4, 2), (8, 4)])
def test_a_sum_tells_whose_it_is(lanes, samples):
    wrong = product_differences(lanes, samples=samples)
    assert not wrong, wrong[:5]


@pytest.mark.parametrize("pipeline", [PORTABLE, DEEP["every stage deeper"]])
def test_a_move_comes_with_the_words_that_it_moves(pipeline):
    """What to do with rows, where to and whose they are, in the cycle in which the memories answer."""
    sizes = sizes_of(2, pipeline=pipeline, samples=2)
    layout, rows, wanted = beat_layout(sizes), [], []
    moves = [(name, context) for context in (1, 0) for name in ("copy", "keep", "subtract")]
    for number, (name, context) in enumerate(moves):
        fields = {name: 1, "context": context, "target": number + 3, "to_offsets": number & 1}
        rows.append({"beat": packed(layout, **fields)})
        wanted.append((number + pipeline.answered, name, context, number + 3, number & 1))
    names = ("copy", "keep", "subtract")
    ports = [f"move.{name}" for name in (*names, "context", "target", "to_offsets")]
    found = play(ArrayUnit(sizes), [*rows, {"beat": 0}], ports, after=pipeline.answered + 2)
    told = [
        (t, n, *record[3:]) for t, record in enumerate(found) for n, flag in zip(names, record, strict=False) if flag
    ]
    assert told == wanted


@pytest.mark.parametrize(("lanes", "drain"), [(1, 1), (4, 1), (4, 2), (4, 4)])
def test_samples_in_flight_have_drives_of_their_own(lanes, drain):
    """A drive's address has the sample in flight above the tile's: what one saves does not come back to the other."""
    player = Player(sizes_of(lanes, samples=2, drain=drain), seed=4)
    memory, sizes, expected = player.memory, player.sizes, []
    tiles, own = range(memory.groups(LAYERS[1])), 1 << (sizes.drive_bits - sizes.context_bits)
    words = [player.words(LAYERS[0]) for _ in range(2)]
    for context in range(2):
        for tile in tiles:
            player.broadcast(0, words[context], tile, {"save": 1, "drive": tile + context * own}, "word")
    for tile in tiles:
        for context in (1, 0):
            count, drive = memory.tile(LAYERS[1], tile), tile + context * own
            last = {"drain": int(Drain.STATE), "drain_count": count, "drive": drive, "context": context}
            player.beat(weight=0, null=1, load=1, **last)
            player.wait(lanes)
            expected += [
                (int(h), context) for h in (player.weights[0] @ words[context])[tile * lanes : (tile + 1) * lanes]
            ]
    found = drained(sizes, player.play(OUTPUTS))
    assert [(word, context) for _, word, *_, context in found] == expected


@pytest.mark.parametrize(
    ("lanes", "pipeline"), [*((lanes, PORTABLE) for lanes in (1, 2, 8)), *((4, deep) for deep in DEEP.values())]
)
def test_a_drive_is_saved_loaded_and_kept(lanes, pipeline):
    """Two products into one sum; the first alone is the drive of its tile, from which later steps start."""
    player = Player(sizes_of(lanes, pipeline=pipeline), seed=2)
    memory, W, expected = player.memory, player.weights, []
    words, s, t = player.words(LAYERS[0]), player.words(LAYERS[2]), player.words(LAYERS[2])
    tiles = range(memory.groups(LAYERS[1]))

    def last_of(tile, **fields):
        count = memory.tile(LAYERS[1], tile)
        return {"drain": int(Drain.STATE), "drain_count": count, "drive": tile, **fields}

    for tile in tiles:
        player.broadcast(0, words, tile, {"save": 1, "drive": tile}, "word")
        player.ring(1, s, tile, last_of(tile), first={})
        player.wait(lanes)
    for tile in reversed(tiles):
        player.ring(1, t, tile, last_of(tile), first={"load": 1, "drive": tile})
        player.wait(lanes)
    # Nothing to add: one null beat that loads, one that clears.
    player.beat(weight=0, null=1, load=1, **last_of(0))
    player.wait(lanes)
    player.beat(weight=0, null=1, clear=1, **last_of(0))
    fixed, first, second = W[0] @ words, W[1].T @ s, W[1].T @ t
    for tile in tiles:
        expected += (fixed + first)[tile * lanes : (tile + 1) * lanes].tolist()
    for tile in reversed(tiles):
        expected += (fixed + second)[tile * lanes : (tile + 1) * lanes].tolist()
    expected += fixed[:lanes].tolist() + [0] * min(lanes, LAYERS[1])
    found = [word for _, word, *_ in drained(player.sizes, player.play(OUTPUTS))]
    assert found == expected


def update_differences(lanes, rounding, seed=3, pipeline=PORTABLE):
    """A batch of two samples learns the matrix between the hidden layers; writes, words, saturations, and read-back."""
    player = Player(sizes_of(lanes, rounding, pipeline), seed)
    spec, memory, matrix = player.spec, player.memory, player.spec.graph.matrices[1]
    base, stride, rows, columns = player.stored(1)
    s, d = player.words((2, columns)), player.words((2, rows), spec.offset)
    dither = DitherModel(spec)
    from fregen.spec.dither import first_key

    noise = dither.words(first_key(spec.design.seed), matrix).astype(np.int64)
    sigma = player.sizes.sigma[0] + 1
    total = d.T @ s
    change = round_shift(total, sigma)
    if rounding is Rounding.STOCHASTIC:
        change = round_shift_dithered(total, sigma, noise)
    exact = player.weights[1] + change
    after = [*player.weights]
    after[1] = spec.weight.saturate(exact)
    expected = []
    for column in range(columns):
        for group in range(memory.groups(rows)):
            for sample in (0, 1):
                player.beat(
                    update=1, own_is_offset=1, clear=int(sample == 0), last=sample, sigma=1,
                    weight=base + group * stride + column, select=column % lanes, group=group,
                    column=spec.column_id(matrix) + column,
                    states=player.line(s[sample], column // lanes), offsets=player.line(d[sample], group),
                )  # fmt: skip
            words = player.line(after[1][:, column], group)
            limited = [int(a != b) for a, b in zip(player.line(exact[:, column], group), words, strict=True)]
            expected.append(
                (player.now - 1 + player.sizes.pipeline.learnt, base + group * stride + column, words, limited)
            )
    player.wait(player.sizes.pipeline.learnt + 3)
    reads = []
    for address in range(memory.weight_depth):
        player.at(player.now, **{"outside.read": 1, "outside.address": address})
        reads.append(player.now + player.sizes.pipeline.lead + player.sizes.pipeline.read)
        player.now += 1
    found = player.play(
        ["write.is_update", "write.lanes", "write.address", "write.words", "write.limited", "outside.weights"]
    )
    width = spec.weight.width
    written = [
        (cycle, address, unpack(words, width, lanes), unpack(limited, 1, lanes, is_signed=False))
        for cycle, (updates, write, address, words, limited, _) in enumerate(found)
        if updates and write == (1 << lanes) - 1
    ]
    image = [unpack(found[cycle][5], width, lanes) for cycle in reads]
    wrong = [(got, want) for got, want in zip(written, expected, strict=False) if got != want]
    wrong += [] if len(written) == len(expected) else [(len(written), len(expected))]
    if image != pack_weights(memory, after).tolist():
        wrong.append(("image", "read back differs"))
    assert any(any(limited) for *_, limited in expected)
    return wrong


@pytest.mark.parametrize(
    ("lanes", "rounding"), [*((lanes, Rounding.STOCHASTIC) for lanes in LANES), (4, Rounding.NEAREST)]
)
def test_an_update_equals_golden(lanes, rounding):
    """Padding rows are updated with 0, so they stay 0; an untouched matrix keeps every word."""
    wrong = update_differences(lanes, rounding)
    assert not wrong, wrong[:3]


@pytest.mark.parametrize("name", DEEP)
def test_deeper_stages_give_the_same_sums_and_weights_later(name):
    assert not product_differences(4, DEEP[name], drain=2)
    assert not update_differences(4, Rounding.STOCHASTIC, pipeline=DEEP[name])


def test_the_bench_sees_a_ring_that_turns_the_other_way(monkeypatch):
    """Each lane takes the sum of the lane before instead of the next: with two lanes that would be the same."""
    plant(monkeypatch, ArrayUnit, {"lanes[(number + 1) % count]": "lanes[(number - 1) % count]"}, "_lanes")
    assert product_differences(4)
    assert not product_differences(2)


def test_the_bench_sees_a_ring_in_which_no_sum_moves(monkeypatch):
    plant(monkeypatch, LaneUnit, {"wanders.eq(control.add.ring)": "wanders.eq(0)"}, "_add")
    assert product_differences(2)


DRAIN_FAULTS = {
    "a chain that shifts by one": {"chain[link + drain]": "chain[link + 1]"},
    "logits that leave together": {"(drain == Drain.SOFTMAX)": "(drain == Drain.NONE)"},
    "all that leave one by one": {"(drain == Drain.SOFTMAX)": "(drain != Drain.NONE)"},
    "lanes counted one by one": {"o.lane + drain": "o.lane + 1"},
    "a last group that is always full": {"left > k)": "left != 0)"},
    "a neuron too few": {"left > k)": "left > k + 1)"},
    "logits in the first lane of a group": {"(part == k)": "(k == 0)"},
    "logits that begin where the last ones ended": {"            part.eq(0),\n": ""},
    "logits that shift with every one": {"& (~self._one_by_one(drain) | (part == self.sizes.drain - 1))": ""},
    "logits whose lanes shift with every one": {"~one_by_one | (part == self.sizes.drain - 1)": "1"},
    "a chain that does not wait for the next tile": {"with m.Elif(is_left)": "with m.Else()"},
    "a chain that shifts in the cycle before": {"is_logit.eq(one_by_one)": "is_logit.eq(0)"},
    "as many left as before": {"left < drain, 0, left - drain": "left < drain, 0, left - 1"},
}


@pytest.mark.parametrize("fault", DRAIN_FAULTS)
def test_the_bench_sees_a_drain_that_goes_wrong(monkeypatch, fault):
    ((text, planted),) = DRAIN_FAULTS[fault].items()
    methods = ("_valid", "_moves", "_one_by_one", "_drain")
    method = next(name for name in methods if text in inspect.getsource(getattr(ArrayUnit, name)))
    plant(monkeypatch, ArrayUnit, {text: planted}, method)
    assert product_differences(8, drain=2)


def test_the_bench_sees_a_wrong_word_picked(monkeypatch):
    """Every beat takes the first word of a line."""
    original = array_module.ArrayUnit._control

    def control(self, m, stages):
        at = self.sizes.pipeline.answered
        wrong = Signal(stages[at].shape())
        m.d.comb += [wrong.eq(stages[at]), wrong.operands.select.eq(0)]
        return original(self, m, [*stages[:at], wrong, *stages[at + 1 :]])

    monkeypatch.setattr(array_module.ArrayUnit, "_control", control)
    assert product_differences(4)
