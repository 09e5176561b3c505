"""The layout of the logs: whatever a design's sizes, what the bench writes is what the check reads."""

import sys
from dataclasses import dataclass

import numpy as np
import pytest

from fregen.design.document import Design
from fregen.emit.render import folder
from fregen.hdl.beat import Sizes
from fregen.hdl.ports import core_ports
from fregen.plan import Schedule
from fregen.plan.counters import COUNTER_WIDTH, COUNTERS
from fregen.plan.records import LOGS, WORD, layout_table, records
from fregen.spec.network import NetworkSpec

sys.path.insert(0, str(folder("sim")))
from records import Log

pytestmark = pytest.mark.unit


@dataclass
class Bus:
    """A port of any width."""

    name: str
    width: int
    is_signed: bool = False
    words: int = 1


def buses(lanes, address, weight_address, word, weight, label, context, drain):
    """Return the ports of a core of any sizes."""
    return [
        Bus("probe_word_address", address), Bus("probe_word_lane", max((lanes - 1).bit_length(), 1)),
        Bus("probe_word_offset", 1), Bus("probe_word_error", 1), Bus("probe_phase", 2),
        Bus("probe_word_valid", drain, words=drain), Bus("probe_words", drain * word, words=drain),
        Bus("probe_word_context", context), Bus("probe_contrast_context", context),
        Bus("probe_contrast_address", address), Bus("probe_contrast", lanes * word, words=lanes),
        Bus("probe_weight_write", lanes, words=lanes), Bus("probe_weight_address", weight_address),
        Bus("probe_weight_words", lanes * weight, words=lanes), Bus("prediction_payload", label),
        Bus("weight_out_payload", weight, True), Bus("counters", COUNTER_WIDTH * len(COUNTERS)),
    ]  # fmt: skip


SIZES = {
    "one lane": (1, 3, 4, 5, 4, 1, 1, 1),
    "as today": (16, 9, 12, 16, 16, 4, 1, 1),
    "two words": (16, 9, 12, 16, 16, 4, 1, 2),
    "13 bits of address": (16, 13, 17, 16, 16, 4, 2, 2),
    "64 lanes": (64, 12, 20, 25, 24, 10, 2, 4),
    "more than any": (256, 31, 32, 32, 32, 13, 9, 16),
}


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_what_the_bench_writes_is_what_the_check_reads(sizes, tmp_path):
    """The bench's concatenation, done here in integers, with every wire at random words and at its extremes."""
    wires, rng = buses(*sizes), np.random.default_rng(1)
    layout = records(wires)
    assert tuple(layout) == LOGS
    drawn = [*wires, Bus("updates", 32), Bus("run", 64)]
    for name, record in layout.items():
        rows, states = [], []
        for turn in range(12):
            state = {
                bus.name: [0, (1 << bus.width) - 1, int.from_bytes(rng.bytes(bus.width // 8 + 1), "big")][min(turn, 2)]
                & ((1 << bus.width) - 1)
                for bus in drawn
            }
            whole = 0
            for part in record.parts():  # the highest bit first
                value = 0 if part.bus is None else state[part.bus] >> (part.low or 0)
                whole = whole << part.width | value & ((1 << part.width) - 1)
            assert sum(part.width for part in record.parts()) == WORD * record.size
            rows.append(whole.to_bytes(4 * record.size, "little"))
            states.append(state)
        (tmp_path / f"{name}.bin").write_bytes(b"".join(rows))
        log = Log(tmp_path / f"{name}.bin", layout_table(layout)[name])
        assert (len(log), log.rest) == (12, 0)
        for field in record.fields:
            if field.width > 64:
                continue
            values = log[field.name].reshape(12, -1).tolist()
            for state, got in zip(states, values, strict=True):
                assert got == [_word(state[field.bus], field, k) for k in range(field.count)], (name, field)
        for bit in record.fields:
            read = log.bits(bit.name) if not bit.is_row else np.empty((12, 0))
            wanted = [[state[bit.bus] >> (bit.low + k) & 1 for k in range(read.shape[1])] for state in states]
            assert read.tolist() == wanted


def _word(value, field, k):
    """Word k of a field's wire."""
    part = value >> (field.low + k * field.width) & ((1 << field.width) - 1)
    return part - (1 << field.width) if field.is_signed and part >> (field.width - 1) else _as_signed(part)


def _as_signed(value):
    """64 bits are read as two's complement."""
    return value - (1 << 64) if value >> 63 else value


def test_no_two_fields_share_a_bit():
    for sizes in SIZES.values():
        for record in records(buses(*sizes)).values():
            taken = [
                WORD * (field.word + k) + field.bit + bit
                for field in record.fields
                for k in range(field.count)
                for bit in range(field.width)
            ]
            assert len(taken) == len(set(taken))
            assert max(taken) < WORD * record.size


def test_a_record_of_a_usual_design_is_no_longer_than_two_words():
    """As it was when its widths were written by hand."""
    design = Design.parse({"name": "usual", "network": {"layers": (784, 64, 64, 10)}})
    layout = records(core_ports(Sizes(Schedule.of(NetworkSpec(design)))))
    assert layout["words"].size <= 2
    several = records(core_ports(Sizes(Schedule.of(NetworkSpec(design.replace(hardware={"drain": 4}))))))
    assert several["words"].size <= 1 + 4
    assert layout["weights"].size <= 4 + 16
    assert layout["predictions"].size == 1


def test_a_wire_of_wider_addresses_moves_into_the_next_word():
    spec = NetworkSpec(
        Design.parse({"name": "deep", "network": {"layers": (4, *[4096] * 8, 3)}, "hardware": {"lanes": 1}})
    )
    record = records(core_ports(Sizes(Schedule.of(spec))))["words"]
    address = record.fields[0]
    assert (address.name, address.width > 12, record.size) == ("address", True, 2)
