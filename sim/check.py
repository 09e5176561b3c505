"""Compare the log of a simulation with what the golden model expects: every word, and where it was written.

Needs numpy and the files of one run, nothing else: ``expected.npz`` and the bench's logs, whose layout comes with the
expected words.  Nothing is sampled and nothing may be left over on either side: a silent core fails, and so do a log
that was cut off, a log of another run and an expectation that nothing compared.
"""

import json
from pathlib import Path

import numpy as np
from records import Log
from verdict import Expected, Verdict

PHASES = ("free", "readout", "nudged", "update")
ANY_SLOT = -1
"""Stands for the plane of whichever slot the sample lies in."""


def describe(word: int, form: list[int]) -> str:
    """Value, format and digits of a word."""
    width = form[0] + form[1]
    digits = f"{int(word) & ((1 << width) - 1):0{(width + 3) // 4}x}"
    return f"{int(word) / 2 ** form[1]:+.{form[1]}f} (q{form[0]}.{form[1]} 0x{digits})"


def check(folder: Path) -> Verdict:
    """Compare the logs in a folder with its ``expected.npz``."""
    folder, verdict = Path(folder), Verdict()
    expected = Expected(folder / "expected.npz")
    about = json.loads(str(expected["about"]))
    logs = {name: Log(folder / f"{name}.bin", layout) for name, layout in about["layout"].items()}
    for name, log in logs.items():
        if log.rest:
            verdict.differ(1, f"log {name}: its last record is cut off after {log.rest} words of 32 bits")
    _words(verdict, expected, about, logs.pop("words"))
    _contrasts(verdict, expected, about, logs.pop("contrasts"))
    _weights(verdict, expected, about, logs.pop("weights"))
    _rows(verdict, "prediction", expected["predictions"], logs.pop("predictions")["label"], True)
    _rows(verdict, "read-back word", expected["weights"][-1].reshape(-1), logs.pop("readback")["word"], False)
    _counters(verdict, expected, about, logs.pop("counters"))
    for name in logs:
        verdict.differ(1, f"log {name}: nothing compares it")
    for name in expected.unread():
        verdict.differ(1, f"expected words: nothing compares {name}")
    return verdict


def _words(verdict: Verdict, expected: Expected, about: dict, log: Log) -> None:
    """Words that were written into the vector memories: a stream a phase."""
    fields = {name: log[name] for name in log.fields}
    phases = fields.pop("phase")
    known = phases < 3
    if not known.all():
        verdict.extra += int((~known).sum())
        verdict.differ(0, f"{int((~known).sum())} words were written outside the phases that write words")
    for number, phase in enumerate(PHASES[:3]):
        chosen = phases == number
        _stream(verdict, expected, about, phase, {name: values[chosen] for name, values in fields.items()})


def _stream(verdict: Verdict, expected: Expected, about: dict, phase: str, log: dict[str, np.ndarray]) -> None:
    """Words of one phase, in order: each at its site (layer and neuron), in the plane of its sample or step."""
    words, sites, planes, counts = (expected[f"{phase}_{kind}"] for kind in ("words", "sites", "planes", "counts"))
    words_came, address = log.pop("word"), log.pop("address")
    shared = min(len(words), len(words_came))
    verdict.compared += shared
    owner = np.repeat(np.arange(len(counts)), counts)
    table = {name: expected[f"site_{name}"] for name in ("address", *log)}
    valid = (sites[:shared] >= 0) & (sites[:shared] < len(table["address"]))
    site = np.where(valid, sites[:shared], 0)
    plane, local = np.divmod(address[:shared], about["plane_size"])
    misplaced = ~valid | (local != table["address"][site])
    for name, values in log.items():
        misplaced |= values[:shared] != table[name][site]
    slots = expected["free_slots" if phase == "free" else "readout_slots"]
    misplaced |= _is_other_plane(plane, planes[:shared], owner[:shared], slots, about["slots"])
    wrong = misplaced | (words_came[:shared] != words[:shared])
    if wrong.any():
        at = int(np.argmax(wrong))
        place = {"address": int(address[at]), **{name: int(values[at]) for name, values in log.items()}}
        text = _tell(expected, about, phase, at, int(owner[at]), words_came[at], place if misplaced[at] else None)
        verdict.differ(int(wrong.sum()), text, int(owner[at]))
    late = int(owner[shared]) if shared < len(words) else None
    verdict.count(f"words of the {phase} phase", len(words), len(words_came), late)


def _is_other_plane(
    plane: np.ndarray, wanted: np.ndarray, owner: np.ndarray, slots: np.ndarray, count: int
) -> np.ndarray:
    """Whether words lie in another plane: of the sample's slot, which is known or, if -1, one for all its words."""
    in_slot = wanted == ANY_SLOT
    wrong = np.where(in_slot, plane >= count, plane != wanted)
    if len(plane):
        begins = np.searchsorted(owner[in_slot], np.arange(len(slots)))
        inside = begins < in_slot.sum()
        of_sample = np.zeros(len(slots), dtype=plane.dtype)
        of_sample[inside] = plane[in_slot][begins[inside]]
        of_sample = np.where(slots != -1, slots, of_sample)
        wrong |= in_slot & (plane != of_sample[owner])
    return wrong


def _tell(
    expected: Expected, about: dict, phase: str, at: int, sample: int, came: int, place: dict[str, int] | None
) -> str:
    """Name a word of a stream: sample, step, layer, neuron, both words, and where it lies if that is wrong."""
    words, sites, counts = (expected[f"{phase}_{kind}"] for kind in ("words", "sites", "counts"))
    end = int(counts[: sample + 1].sum())
    begin = end - int(counts[sample])
    # The last site of a step has been written once in every step before.
    step = 1 + int((sites[begin:at] == sites[end - 1]).sum()) if phase != "readout" else 1
    site = int(sites[at])
    if not 0 <= site < len(expected["site_address"]):
        return f"sample {sample}, {phase} phase, step {step}: there is no site {site}"
    layer, neuron = about["sites"][site]
    kind = "error" if expected["site_error"][site] else "offset" if expected["site_offset"][site] else "state"
    form = about["formats"][kind]
    text = f"sample {sample}, {phase} phase, step {step}, layer {layer}, neuron {neuron}: "
    text += f"expected {describe(words[at], form)}, got {describe(came, form)}"
    if place is not None:
        wanted = {name: int(expected[f"site_{name}"][site]) for name in place}
        lies = ", ".join(f"{name} {value} (in its plane {wanted[name]} expected)" if name == "address"
                         else f"{name} {value} ({wanted[name]} expected)" for name, value in place.items())  # fmt: skip
        text += f"; it lies at {lies}, plane {place['address'] // about['plane_size']}"
    return text


def _contrasts(verdict: Verdict, expected: Expected, about: dict, log: Log) -> None:
    """Rows of contrasts of the ``states`` form."""
    wanted, groups = expected["contrasts"], about["contrast_groups"]
    shared = min(len(log), len(wanted))
    verdict.compared += shared * wanted.shape[1]
    words = log["words"][:shared]
    plane, local = np.divmod(log["address"][:shared], about["plane_size"])
    sample, row = np.divmod(np.arange(shared), groups)
    in_slot = np.full(shared, ANY_SLOT)
    wrong = _is_other_plane(plane, in_slot, sample, expected["readout_slots"], about["slots"])
    wrong |= (words != wanted[:shared]).any(axis=1) | (local != row)
    if wrong.any():
        at = int(np.argmax(wrong))
        got = f"{words[at].tolist()} at address {int(log['address'][at])}"
        text = f"sample {at // groups}, contrast, row {at % groups}: expected {wanted[at].tolist()}, got {got}"
        verdict.differ(int(wrong.sum()), text, at // groups)
    verdict.count("rows of contrasts", len(wanted), len(log))


def _weights(verdict: Verdict, expected: Expected, about: dict, log: Log) -> None:
    """All weights after every update: the memory as the log of writes, and loads between updates, leave it."""
    images = expected["weights"]
    loads = dict(zip(expected["loads"].tolist(), expected["loaded"], strict=True)) if "loads" in expected else {}
    updates, depth, lanes = len(images) - 1, images.shape[1], images.shape[2]
    memory = images[0].copy()
    number, address, enabled, words = log["update"], log["address"], log.bits("lanes"), log["words"]
    if (np.diff(number) < 0).any():
        verdict.differ(1, "weights were written for an earlier update than the one before")
    for bad, what in ((number >= updates, f"after the last of {updates} updates"),
                      (address >= depth, f"beyond address {depth - 1}")):  # fmt: skip
        if bad.any():
            verdict.extra += int(bad.sum())
            verdict.differ(0, f"{int(bad.sum())} times weights were written {what}")
    inside = address < depth
    number, address, enabled, words = number[inside], address[inside], enabled[inside], words[inside]
    bounds = np.searchsorted(number, np.arange(updates + 1))
    for update in range(updates):
        if update in loads:
            memory = loads[update].copy()
        part = slice(bounds[update], bounds[update + 1])
        row, lane = np.nonzero(enabled[part])
        memory[address[part][row], lane] = words[part][row, lane]
        verdict.compared += about["real_weights"]
        wrong = memory != images[update + 1]
        if wrong.any():
            at, lane_at = (int(axis[0]) for axis in np.nonzero(wrong))
            name, form = _weight_name(about, lanes, at, lane_at), about["formats"]["weight"]
            wanted, got = describe(images[update + 1][at, lane_at], form), describe(memory[at, lane_at], form)
            sample = about["batch_ends"][update] - 1
            text = f"update {update} (after sample {sample}), {name}: expected {wanted}, got {got}"
            verdict.differ(int(wrong.sum()), text, sample)
            memory = images[update + 1].copy()


def _weight_name(about: dict, lanes: int, address: int, lane: int) -> str:
    """Matrix, row and column of a weight."""
    for number, (base, stride, rows, columns, row_layer, column_layer) in enumerate(about["matrices"]):
        row, column = (address - base) // stride * lanes + lane, (address - base) % stride
        if address >= base and row < -(-rows // lanes) * lanes:
            padding = "" if row < rows and column < columns else " (padding)"
            return f"matrix {number}, layer {row_layer} neuron {row}, layer {column_layer} neuron {column}{padding}"
    return f"address {address}, lane {lane}"


def _rows(verdict: Verdict, name: str, wanted: np.ndarray, got: np.ndarray, is_sample: bool) -> None:
    """Compare a plain sequence of words."""
    shared = min(len(wanted), len(got))
    verdict.compared += shared
    wrong = wanted[:shared] != got[:shared]
    if wrong.any():
        at = int(np.argmax(wrong))
        text = f"{name} {at}: expected {wanted[at]}, got {got[at]}"
        verdict.differ(int(wrong.sum()), text, at if is_sample else None)
    verdict.count(f"{name}s", len(wanted), len(got), shared if is_sample and shared < len(wanted) else None)


def _counters(verdict: Verdict, expected: Expected, about: dict, log: Log) -> None:
    """Compare the counters after reset and at the end, and the number of the run."""
    names = [name for name in log.fields if name != "run"]
    begins, counted = expected["counter_start"], expected["counters"]
    verdict.run = about["run"]
    verdict.count("readings of the counters", 2, len(log))
    for came in log["run"].tolist():
        if (run := f"{came & (1 << 64) - 1:016x}") != about["run"]:
            verdict.differ(1, f"the logs belong to run {run}, the expected words to run {about['run']}")
    for number, name in enumerate(names):
        values = log[name].tolist()
        for record, when in enumerate((" after reset", "")[: len(values)]):
            wanted = (int(begins[number]) + record * int(counted[number])) % (1 << log.fields[name]["width"])
            verdict.counters[name] = values[record]
            verdict.compared += 1
            if values[record] != wanted:
                verdict.differ(1, f"counter {name}{when}: expected {wanted}, got {values[record]}")
