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
    assert len(contract.outputs) == 8
    assert contract.never() == "proved"


WEIGHT_FAULTS = {  # what is planted, and which promise it breaks
    "an address left out": ("changed", {"address.eq(address + 1)": "address.eq(address + 2)"}),
    "a word that does not wait": ("unsteady", {"with m.If(self.o.ready)": "with m.If(1)"}),
    "a load while the sequencer works": ("load", {"self.i.valid & self.may_start": "self.i.valid"}),
    "a dump within a load": ("unasked", {"self.dump & self.may_start & ~loading": "self.dump & self.may_start"}),
    "a read-back that ends too soon": ("stuck", {"with m.If(last_lane & last_address)": "with m.If(last_lane)"}),
    "a read-back without end": ("unasked", {"with m.If(last_lane & last_address)": "with m.If(0)"}),
    "words of one lane kept": ("changed", {"row.eq(self.lanes.weights)": "row[0].eq(self.lanes.weights[0])"}),
    "not busy while a load is half done": ("busy", {"self.i.valid | self.dump | loading": "self.i.valid | self.dump"}),
}


@pytest.mark.parametrize("fault", WEIGHT_FAULTS)
def test_a_weight_port_that_breaks_its_contract_is_found(monkeypatch, fault):
    broken, changes = WEIGHT_FAULTS[fault]
    plant(monkeypatch, WeightPort, changes)
    assert weight_port(2).never(broken) == "refuted"


def sample_unit(size, batch):
    """A sample unit whose taker keeps slots busy as it likes, but one at least free; any sample is followed.

    The followed sample is any, and so is the input whose word is looked at.  From the cycle after it is taken its slot
    is busy until the taker lets it go, which is any number of cycles later.
    """
    sizes = make_sizes((size, 2, 2), 1, numerics={"state": "q1.3"}, learning={"batch": batch})
    slots = sizes.memory.slots
    unit = SampleUnit(sizes)
    inputs = {
        "valid": 1,
        "payload": len(unit.i.payload.as_value()),
        "busy": slots,
        "take": 1,
        "follow": 1,
        "release": 1,
    }
    inputs |= {"place": range(size)}
    asked = {"word_slot": unit.word_slot, "word_index": unit.word_index, "mask_index": unit.mask.index}
    asked["list_index"] = unit.list_index
    inputs |= {name: len(port) for name, port in asked.items()}

    def build(m, inputs):
        m.submodules.unit = unit
        place = constant(m, inputs["place"], "place")
        phase, is_new, mine = Signal(Phase), Signal(), Signal.like(unit.sample.slot)
        slot = Mux(is_new, unit.sample.slot, mine)
        busy = (inputs["busy"] | Mux(phase == Phase.HELD, 1 << slot, 0))[:slots]
        is_fair = Signal(init=1)
        m.d.sync += is_fair.eq(is_fair & ~busy.all())
        take = inputs["take"] & unit.sample.loaded
        m.d.comb += [unit.i.valid.eq(inputs["valid"]), unit.i.payload.as_value().eq(inputs["payload"])]
        m.d.comb += [unit.sample.busy.eq(busy), unit.sample.take.eq(take)]

        # As many words are taken as a sample has, and then none until it is taken itself.
        taken, accept = Signal(range(size + 1)), unit.i.valid & unit.i.ready
        with m.If(take):
            m.d.sync += taken.eq(0)
        with m.Elif(accept):
            m.d.sync += taken.eq(taken + 1)
        wrong = {"loaded": unit.sample.loaded != (taken == size), "ready": unit.i.ready != (taken != size)}

        # The followed sample: what was sent of it.
        word, before, nonzero = Signal.like(unit.i.payload.word), Signal(range(size + 1)), Signal(range(size + 1))
        told = Cat(unit.sample.label, unit.sample.learn, unit.sample.close)
        sent = Cat(unit.i.payload.label, unit.i.payload.learn, unit.i.payload.close)
        last_sent = Signal.like(told)
        begins = accept & (taken == 0) & inputs["follow"] & (phase == Phase.ANY)
        with m.If(begins):
            m.d.sync += phase.eq(Phase.COMES)
        with m.If(accept & (begins | (phase == Phase.COMES))):
            found = Mux(taken == 0, 0, nonzero)
            m.d.sync += [nonzero.eq(found + (unit.i.payload.word != 0)), last_sent.eq(sent)]
            with m.If(taken == place):
                m.d.sync += [word.eq(unit.i.payload.word), before.eq(found)]

        # Taken, it is told whole, in a slot that was free; until it is let go no other comes there.
        is_its_take = take & (phase == Phase.COMES)
        with m.If(is_its_take):
            m.d.sync += phase.eq(Phase.HELD)
        with m.If((phase == Phase.HELD) & inputs["release"]):
            m.d.sync += phase.eq(Phase.GONE)
        m.d.sync += [is_new.eq(is_its_take), mine.eq(slot)]
        is_held, other_taken = phase == Phase.HELD, late(m, take & ~is_its_take, 1, "other_taken")
        wrong["told"] = is_new & ((told != last_sent) | (unit.sample.nonzero != nonzero))
        wrong["slot"] = is_held & other_taken & (unit.sample.slot == slot)

        # Its words, its bit of the masks and, until the next is taken, its list of nonzero words can be read.
        is_latest = Signal()
        with m.If(take):
            m.d.sync += is_latest.eq(is_its_take)
        for name, port in asked.items():
            m.d.comb += port.eq(inputs[name])
        asks_word = is_held & (unit.word_slot == slot) & (unit.word_index == place)
        wrong["word"] = late(m, asks_word, 1, "asks_word") & (unit.word != word)
        asks_mask = is_held & (unit.mask.index == place)
        wrong["mask"] = late(m, asks_mask, 1, "asks_mask") & (unit.mask.slots.bit_select(mine, 1) != (word != 0))
        asks_list = is_held & is_latest & (unit.list_index == before) & (word != 0)
        wrong["list"] = late(m, asks_list, 1, "asks_list") & (unit.index != place)
        return {name: is_fair & ~busy.all() & value for name, value in wrong.items()}

    return circuit(inputs, build)


class Phase(Enum):
    """What has become of the sample that is followed."""

    ANY = 0
    COMES = 1
    HELD = 2
    GONE = 3


@pytest.mark.parametrize(("size", "batch"), [(1, 1), (2, 1), (3, 1), (2, 2)])
def test_samples_are_kept_whole_until_they_are_let_go(size, batch):
    contract = sample_unit(size, batch)
    assert len(contract.outputs) == 7
    assert contract.never() == "proved"


SAMPLE_FAULTS = {
    "a word taken while a sample waits": ("ready", {"self.i.ready.eq(~self.sample.loaded)": "self.i.ready.eq(1)"}),
    "a slot that is busy": ("word", {"with m.If(~self.sample.busy[k])": "with m.If(self.sample.busy[k])"}),
    "a label one sample late": ("told", {"self.sample.label.eq(label)": "self.sample.label.eq(self.sample.label)"}),
    "lists in one bank": ("list", {"bank.eq(~bank)": "bank.eq(bank)", "is_nonzero, ~bank": "is_nonzero, bank"}),
    "nonzero words counted on": ("told", {"found.eq(0), ": ""}),
    "a mask of all slots": ("mask", {"1 << target, 0": "-1, 0"}),
    "a slot chosen again with every word": ("word", {"Mux(starting, free, slot)": "free"}),
    "a word before it is whole": ("loaded", {"position == size - 1": "position == size - 2"}),
}  # fmt: skip


@pytest.mark.parametrize("fault", SAMPLE_FAULTS)
def test_a_sample_unit_that_breaks_its_contract_is_found(monkeypatch, fault):
    broken, changes = SAMPLE_FAULTS[fault]
    plant(monkeypatch, SampleUnit, changes)
    assert sample_unit(2, 1).never(broken) == "refuted"


def predictions():
    """The prediction stream of a whole core, and how many samples it has counted."""
    core = Core(make_spec((2, 2, 2), 1, numerics={"state": "q1.3", "weight": "q1.3", "offset": "q1.3"}))
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


def test_a_prediction_waits_until_it_is_taken_and_is_given_once():
    """Of any state of the core, for its 1500 registers are many: what is kept for one cycle is kept for ever."""
    contract = predictions()
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
