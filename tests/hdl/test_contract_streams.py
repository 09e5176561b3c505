"""What the stream units promise, without a model of how: nothing lost, nothing twice, in order, still while it waits.

As in the contracts of ``amaranth.lib.fifo``, one word is followed whose place is any: what is true of it is true of
all.
All is proven of every state that can be reached, for all inputs, by a model checker (:mod:`fregen.faults.properties`);
only the sizes are small.  Every contract is shown to be broken by planted faults.
"""

import pytest
from amaranth.hdl import Cat, Mux, Signal, signed
from amaranth.lib.enum import Enum
from proving import circuit, constant, late
from unit_bench import make_sizes, make_spec, plant

from fregen.hdl.bits import popcount
from fregen.hdl.core import Core
from fregen.hdl.samples import SampleUnit
from fregen.hdl.weight_port import WeightPort

pytestmark = pytest.mark.rtl


def is_unsteady(m, stream, name):
    """Whether a stream takes back a word that waits, or changes it."""
    was_waiting = late(m, stream.valid & ~stream.ready, 1, f"{name}_waited")
    return was_waiting & (~stream.valid | (stream.payload != late(m, stream.payload, 1, f"{name}_before")))


def weight_port(lanes, layers=(2, 1, 2)):
    """A weight port before memories of which one word is any, at any place."""
    sizes = make_sizes(layers, lanes, numerics={"weight": "q1.3"})
    count = lanes * sizes.memory.weight_depth
    inputs = {"in_valid": 1, "in_payload": signed(4), "out_ready": 1, "dump": 1, "may_start": 1}
    inputs |= {"place": range(count), "word": signed(4), "others": signed(4)}

    def build(m, inputs):
        m.submodules.unit = unit = WeightPort(sizes)
        m.d.comb += [unit.i.valid.eq(inputs["in_valid"]), unit.i.payload.eq(inputs["in_payload"])]
        m.d.comb += [getattr(unit, name).eq(inputs[name]) for name in ("dump", "may_start")]
        m.d.comb += unit.o.ready.eq(inputs["out_ready"])
        place, word = constant(m, inputs["place"], "place"), constant(m, inputs["word"], "word")
        is_asked = [unit.lanes.read & (place == unit.lanes.address * lanes + lane) for lane in range(lanes)]
        for lane in range(lanes):
            m.d.comb += unit.lanes.weights[lane].eq(
                Mux(late(m, is_asked[lane], 1, f"asked_{lane}"), word, inputs["others"])
            )

        # Loading: word k goes to lane k mod P of address k div P, when it is taken and only then.
        taken, given = Signal(range(count)), Signal(range(count))
        takes, gives = unit.i.valid & unit.i.ready, unit.o.valid & unit.o.ready
        for counted, happens in ((taken, takes), (given, gives)):
            with m.If(happens):
                m.d.sync += counted.eq(Mux(counted == count - 1, 0, counted + 1))
        wrong = {"load": unit.lanes.load != takes}
        is_there = (unit.lanes.address * lanes + unit.lanes.lane == taken) & (unit.lanes.word == unit.i.payload)
        wrong["misplaced"] = takes & ~is_there

        # Reading: all words once, from the first; no word is taken meanwhile, and none comes unasked.
        sending = Signal()
        starts = unit.dump & unit.may_start & ~unit.i.valid & ~sending & (taken == 0)
        with m.If(starts):
            m.d.sync += sending.eq(1)
        with m.Elif(gives & (given == count - 1)):
            m.d.sync += sending.eq(0)
        wrong["changed"] = gives & (given == place) & (unit.o.payload != word)
        wrong["unasked"] = unit.o.valid & ~sending
        wrong["meanwhile"] = takes & sending
        wrong["busy"] = ~unit.busy & (sending | unit.i.valid | (taken != 0))
        wrong["idle"] = unit.busy & ~(sending | unit.i.valid | (taken != 0) | (unit.dump & unit.may_start))
        wrong["unsteady"] = is_unsteady(m, unit.o, "out")
        # With a reader that is always ready the last word comes in time: P + 2 cycles an address.
        waited = Signal(range(lanes + 4))
        m.d.sync += waited.eq(Mux(sending & ~unit.o.valid, waited + 1, 0))
        wrong["stuck"] = waited > 3
        return wrong

    return circuit(inputs, build)


@pytest.mark.parametrize("lanes", [1, 2])
def test_weights_are_loaded_and_read_back_whole_and_in_order(lanes):
    contract = weight_port(lanes)
    assert len(contract.outputs) == 9
    assert contract.never() == "proved"


WEIGHT_FAULTS = {  # what is planted, and which promise it breaks
    "an address left out": ("changed", {"address.eq(address + 1)": "address.eq(address + 2)"}),
    "a word that does not wait": ("unsteady", {"with m.If(self.o.ready)": "with m.If(1)"}),
    "a load while the sequencer works": ("load", {"self.i.valid & self.may_start": "self.i.valid"}),
    "a dump within a load": ("unasked", {"self.dump & self.may_start & ~engaged": "self.dump & self.may_start"}),
    "a read-back that ends too soon": ("stuck", {"with m.If(last_lane & last_address)": "with m.If(last_lane)"}),
    "a read-back without end": ("unasked", {"with m.If(last_lane & last_address)": "with m.If(0)"}),
    "words of one lane kept": ("changed", {"row.eq(self.lanes.weights)": "row[0].eq(self.lanes.weights[0])"}),
    "not busy while a load is half done": (
        "busy",
        {"(self.dump & self.may_start) | engaged": "(self.dump & self.may_start)"},
    ),
    "busy when a dump is not heeded": ("idle", {"(self.dump & self.may_start) | engaged": "self.dump | engaged"}),
}


@pytest.mark.parametrize("fault", WEIGHT_FAULTS)
def test_a_weight_port_that_breaks_its_contract_is_found(monkeypatch, fault):
    broken, changes = WEIGHT_FAULTS[fault]
    plant(monkeypatch, WeightPort, changes)
    assert weight_port(2).never(broken) == "refuted"


def sample_unit(size, batch, contexts=1, width=1):
    """A sample unit whose taker chooses slots as it likes, but none of a sample that it keeps; any sample is followed.

    The followed sample is any, and so is the input whose word is looked at.  From the cycle after it is taken the taker
    keeps it until it lets it go, which is any number of cycles later.  What the last beat has beyond the sample is any.
    """
    sections = {"learning": {"batch": batch}, "hardware": {"samples": contexts, "words": width}}
    sizes = make_sizes((size, 2, 2), 1, numerics={"state": "q1.3"}, **sections)
    unit, beats = SampleUnit(sizes), -(-size // width)
    inputs = {"valid": 1, "payload": len(unit.i.payload.as_value()), "take": 1, "follow": 1, "release": 1}
    inputs |= {"place": range(size), "next_slot": sizes.slot_bits}
    asked = {"word_slot": unit.word_slot, "word_index": unit.word_index, "mask_index": unit.mask.index}
    asked |= {"list_index": unit.list_index, "list_bank": unit.list_bank}
    inputs |= {name: len(port) for name, port in asked.items()}

    def build(m, inputs):
        m.submodules.unit = unit
        place, sample = constant(m, inputs["place"], "place"), unit.sample.sample
        phase, slot, mine, bank = (
            Signal(Phase),
            Signal(sizes.slot_bits),
            Signal(sizes.slot_bits),
            Signal(sizes.bank_bits),
        )
        take = inputs["take"] & unit.sample.loaded
        m.d.comb += [unit.i.valid.eq(inputs["valid"]), unit.i.payload.as_value().eq(inputs["payload"])]
        m.d.comb += [unit.sample.slot.eq(slot), unit.sample.take.eq(take)]
        with m.If(take):
            m.d.sync += slot.eq(inputs["next_slot"])

        # As many beats are taken as a sample has, and then none until it is taken itself.
        taken, accept = Signal(range(beats + 1)), unit.i.valid & unit.i.ready
        with m.If(take):
            m.d.sync += taken.eq(0)
        with m.Elif(accept):
            m.d.sync += taken.eq(taken + 1)
        wrong = {"loaded": unit.sample.loaded != (taken == beats), "ready": unit.i.ready != (taken != beats)}

        # The followed sample: what was sent of it.
        word, before, nonzero = Signal(signed(sizes.state_width)), Signal(range(size + 1)), Signal(range(size + 1))
        told = Cat(sample.label, sample.learn, sample.close)
        sent = Cat(unit.i.payload.label, unit.i.payload.learn, unit.i.payload.close)
        last_sent = Signal.like(told)
        begins = accept & (taken == 0) & inputs["follow"] & (phase == Phase.ANY)
        with m.If(begins):
            m.d.sync += phase.eq(Phase.COMES)
        with m.If(accept & (begins | (phase == Phase.COMES))):
            found = Mux(taken == 0, 0, nonzero)
            number = [taken * width + k for k in range(width)]
            is_found = [(number[k] < size) & (unit.i.payload.words[k] != 0) for k in range(width)]
            m.d.sync += [nonzero.eq(found + popcount(Cat(is_found))), last_sent.eq(sent)]
            for k in range(width):
                with m.If(number[k] == place):
                    sooner = popcount(Cat(is_found[:k])) if k else 0
                    m.d.sync += [word.eq(unit.i.payload.words[k]), before.eq(found + sooner)]

        # It is told whole when it is taken; until it is let go the taker sends no other into its slot.
        is_its_take = take & (phase == Phase.COMES)
        with m.If(is_its_take):
            m.d.sync += [phase.eq(Phase.HELD), mine.eq(slot), bank.eq(sample.bank)]
        with m.If((phase == Phase.HELD) & inputs["release"]):
            m.d.sync += phase.eq(Phase.GONE)
        is_held, is_fair = phase == Phase.HELD, Signal(init=1)
        keeps = is_its_take | (is_held & ~inputs["release"])
        is_kept = keeps & (inputs["next_slot"] == Mux(is_its_take, slot, mine))
        m.d.sync += is_fair.eq(is_fair & ~(take & (is_kept | (inputs["next_slot"] >= sizes.memory.slots))))
        is_wrong = (told != last_sent) | (sample.nonzero != nonzero)
        wrong["told"] = is_its_take & is_wrong
        wrong["slot"] = is_its_take & (sample.slot != slot)

        # Its words and its bit of the masks can be read, and its list of nonzero words while it may be in flight.
        later = Signal(range(contexts + 1))
        with m.If(is_its_take):
            m.d.sync += later.eq(0)
        with m.Elif(take & (later != contexts)):
            m.d.sync += later.eq(later + 1)
        for name, port in asked.items():
            m.d.comb += port.eq(inputs[name])
        asks_word = is_held & (unit.word_slot == mine) & (unit.word_index == place)
        wrong["word"] = late(m, asks_word, 1, "asks_word") & (unit.word != word)
        asks_mask = is_held & (unit.mask.index == place)
        wrong["mask"] = late(m, asks_mask, 1, "asks_mask") & (unit.mask.slots.bit_select(mine, 1) != (word != 0))
        asks_list = is_held & (later != contexts) & (unit.list_bank == bank)
        asks_list &= (unit.list_index == before) & (word != 0)
        wrong["list"] = late(m, asks_list, 1, "asks_list") & (unit.index != place)
        is_input = place < size
        return {name: is_fair & is_input & value for name, value in wrong.items()}

    return circuit(inputs, build)


class Phase(Enum):
    """What has become of the sample that is followed."""

    ANY = 0
    COMES = 1
    HELD = 2
    GONE = 3


@pytest.mark.parametrize(
    ("size", "batch", "contexts", "width"),
    [
        *((1, 1, 1, 1), (2, 1, 1, 1), (3, 1, 1, 1), (2, 2, 1, 1), (2, 1, 2, 1), (1, 1, 4, 1)),
        *((1, 1, 1, 2), (2, 1, 1, 2), (3, 1, 1, 2), (4, 1, 1, 2), (2, 1, 2, 2), (3, 1, 1, 4), (6, 1, 1, 4)),
    ],
)
def test_samples_are_kept_whole_until_they_are_let_go(size, batch, contexts, width):
    contract = sample_unit(size, batch, contexts, width)
    assert len(contract.outputs) == 7
    assert contract.never() == "proved"


SAMPLE_FAULTS = {  # the promise that is broken, the method, and what is planted
    "a word taken while a sample waits": (
        "ready", "elaborate", {"self.i.ready.eq(~self.sample.loaded)": "self.i.ready.eq(1)"},
    ),
    "words of all slots in one place": ("word", "elaborate", {"Cat(row, slot)": "row"}),
    "a slot that is not the one told": ("slot", "elaborate", {"sample.slot.eq(slot)": "sample.slot.eq(slot + 1)"}),
    "a label one sample late": ("told", "elaborate", {"sample.label.eq(label)": "sample.label.eq(0)"}),
    "lists in one bank": ("list", "_list", {"Cat(self.list_index[low:], self.list_bank)": "self.list_index[low:]"}),
    "a bank too few": ("list", "elaborate", {"bank == sizes.contexts": "bank == sizes.contexts - 1"}),
    "nonzero words counted on": ("told", "elaborate", {", found.eq(0)": ""}),
    "a mask of all slots": ("mask", "elaborate", {"1 << slot, 0": "(1 << memory.slots) - 1, 0"}),
    "a word before it is whole": ("loaded", "elaborate", {"sample_beats - 1": "sample_beats - 2"}),
}  # fmt: skip


@pytest.mark.parametrize("fault", SAMPLE_FAULTS)
def test_a_sample_unit_that_breaks_its_contract_is_found(monkeypatch, fault):
    broken, method, changes = SAMPLE_FAULTS[fault]
    plant(monkeypatch, SampleUnit, changes, method)
    assert sample_unit(2, 1).never(broken) == "refuted"


WIDE_FAULTS = {
    "surplus counted": ("told", "elaborate", {"~is_last if place >= width - surplus else 1": "1"}),
    "a list that does not wrap": ("list", "_list", {" + has_passed": ""}),
    "lists by place instead of in turn": ("list", "_list", {"entry[:low] == turn": "place == turn"}),
    "the list that is asked next": (
        "list", "_list", {'delayed(m, self.list_index[:low], sizes.pipeline.steer, "turn")': "self.list_index[:low]"},
    ),
    "the first word of a row": ("word", "_words", {"pick(words.read_word, place)": "words.read_word[0]"}),
    "a mask of the first word of a row": (
        "mask", "_masks", {"nonzero[place].replicate(count)": "nonzero[0].replicate(count)"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", WIDE_FAULTS)
def test_a_sample_unit_of_two_words_a_beat_that_breaks_its_contract_is_found(monkeypatch, fault):
    """A list wraps within a beat where two words come after one."""
    broken, method, changes = WIDE_FAULTS[fault]
    plant(monkeypatch, SampleUnit, changes, method)
    assert sample_unit(4 if "wrap" in fault else 3, 1, width=2).never(broken) == "refuted"


def test_a_list_that_is_overwritten_too_soon_is_found(monkeypatch):
    """With two samples in flight three lists are needed."""
    plant(monkeypatch, SampleUnit, {"bank == sizes.contexts": "bank == sizes.contexts - 1"})
    assert sample_unit(2, 1, 2).never("list") == "refuted"


def predictions(contexts=1):
    """The prediction stream of a whole core, and how many samples it has counted."""
    numerics = {"state": "q1.3", "weight": "q1.3", "offset": "q1.3"}
    core = Core(make_spec((2, 2, 2), 1, numerics=numerics, hardware={"samples": contexts}))
    inputs = {"ready": 1, "valid": 1, "payload": len(core.sample.payload.as_value())}

    def build(m, inputs):
        m.submodules.core = core
        m.d.comb += [core.sample.valid.eq(inputs["valid"]), core.sample.payload.as_value().eq(inputs["payload"])]
        m.d.comb += core.prediction.ready.eq(inputs["ready"])
        given = Signal(2)
        m.d.sync += given.eq(given + (core.prediction.valid & core.prediction.ready))
        waits = (core.counters.samples - given)[: len(given)]
        return {"unsteady": is_unsteady(m, core.prediction, "out"), "lost_or_twice": waits != core.prediction.valid}

    return circuit(inputs, build)


@pytest.mark.parametrize("contexts", [1, 2])
def test_a_prediction_waits_until_it_is_taken_and_is_given_once(contexts):
    """Of any state of the core, for its 1500 registers are many: what is kept for one cycle is kept for ever."""
    contract = predictions(contexts)
    assert contract.never_after(1, "unsteady") == "proved"
    assert contract.kept("lost_or_twice") == "proved"


PREDICTION_FAULTS = {
    "a prediction that does not wait": {"~o.valid | o.ready": "1"},
    "a prediction given twice": {"m.d.sync += o.valid.eq(0)": "m.d.sync += o.valid.eq(self.idle)"},
}


@pytest.mark.parametrize("fault", PREDICTION_FAULTS)
def test_a_core_that_breaks_the_contract_of_predictions_is_found(monkeypatch, fault):
    plant(monkeypatch, Core, PREDICTION_FAULTS[fault], "_predict")
    assert predictions().kept("lost_or_twice") == "refuted"
