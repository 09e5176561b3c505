"""The queue against Python's: every word once, in order, from the cycle after it has entered on."""

from collections import deque

import numpy as np
import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from unit_bench import plant, play

from fregen.hdl import queue as queues
from fregen.hdl.queue import queue

pytestmark = pytest.mark.rtl

WORD = data.StructLayout({"number": 5, "mask": 3})


class Queue(wiring.Component):
    """A queue between ports."""

    def __init__(self, depth):
        self.depth = depth
        super().__init__({"word": In(WORD), "push": In(1), "pop": In(1), "first": Out(WORD), "has_one": Out(1)})

    def elaborate(self, platform):
        m = Module()
        word = Signal(WORD)
        m.d.comb += word.eq(self.word)
        first, has_one = queue(m, "queue", word, self.depth, self.push, self.pop)
        m.d.comb += [self.first.eq(first), self.has_one.eq(has_one)]
        return m


def differences(depth, cycles=600, seed=0):
    """Words pushed and popped at random, mostly when it is full, and mostly when it is empty."""
    rng, model, rows, wanted = np.random.default_rng(seed), deque(), [], []
    for cycle in range(cycles):
        often = 0.8 if cycle // 60 % 2 else 0.3
        pop, word = int(rng.random() < 1.1 - often), int(rng.integers(256))
        push = int(len(model) < depth and rng.random() < often)
        wanted.append((int(bool(model)), model[0] if model else None))
        rows.append({"word": word, "push": push, "pop": pop})
        if pop and model:
            model.popleft()
        if push:
            model.append(word)
    found = play(Queue(depth), rows, ["has_one", "first"])
    return [
        t
        for t, ((has, word), want) in enumerate(zip(found, wanted, strict=True))
        if (has, word if has else None) != want
    ]


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_words_come_in_the_order_in_which_they_entered(depth):
    assert not differences(depth)


@pytest.mark.parametrize("depth", [0, 3, 12])
def test_a_depth_that_is_no_power_of_two_is_refused(depth):
    with pytest.raises(ValueError, match=f"queue: the depth of a queue is a power of two, not {depth}"):
        queue(Module(), "queue", Signal(WORD), depth, Signal(), Signal())


FAULTS = {
    "a word taken where there is none": {"first.eq(first + leaves)": "first.eq(first + pop)"},
    "a count of what was not there": {"level + push - leaves": "level + push - pop"},
    "a count without what enters": {"level + push -": "level -"},
    "a place that is filled twice": {"last.eq(last + push)": "last.eq(last)"},
    "a word that goes in every place": {"push & (last == place)": "push"},
    "a word that enters unasked": {"with m.If(push & (last == place))": "with m.If(last == place)"},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_queue_with_a_fault_is_seen(monkeypatch, fault):
    plant(monkeypatch, queues, FAULTS[fault], "queue")
    monkeypatch.setitem(Queue.elaborate.__globals__, "queue", queues.queue)
    assert differences(16)
