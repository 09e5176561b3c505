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
ANY_COUNT = -1
"""Stands for a count that depends on when the host offers its words."""


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
    # A record holds words of neighbouring lanes.
    valid = log.bits("valid")
    if empty := int((~valid.any(axis=1)).sum()):
        verdict.extra += empty
        verdict.differ(0, f"{empty} records of words hold no word")
    record, place = np.nonzero(valid)
    del fields["valid"]
    words = fields.pop("words")[record, place]
    fields = {name: values[record] for name, values in fields.items()}
    fields |= {"word": words, "lane": fields["lane"] + place}
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
    of_samples = "free" if phase == "free" else "readout"
    slots, contexts = expected[f"{of_samples}_slots"], expected[f"{of_samples}_contexts"]
    owner = np.repeat(np.arange(len(counts)), counts)
    if {len(words), len(sites), len(planes)} != {len(owner)} or {len(slots), len(contexts)} != {len(counts)}:
        verdict.differ(1, f"expected words of the {phase} phase: not as many words, sites and planes as samples have")
        return
    at, came = _pairs(verdict, f"words of the {phase} phase", owner, contexts, log.pop("context"), about["contexts"])
    verdict.compared += len(at)
    owner, site, log = owner[at], sites[at], {name: values[came] for name, values in log.items()}
    words_came, address = log.pop("word"), log.pop("address")
    table = {name: expected[f"site_{name}"] for name in ("address", *log)}
    valid = (site >= 0) & (site < len(table["address"]))
    site = np.where(valid, site, 0)
    plane, local = np.divmod(address, about["plane_size"])
    misplaced = ~valid | (local != table["address"][site])
    for name, values in log.items():
        misplaced |= values != table[name][site]
    misplaced |= _is_other_plane(plane, planes[at], owner, slots, about["slots"])
    wrong = misplaced | (words_came != words[at])
    if wrong.any():
        k = int(np.argmax(wrong))
        place = {"address": int(address[k]), **{name: int(values[k]) for name, values in log.items()}}
        place = place if misplaced[k] else None
        text = _tell(expected, about, phase, int(at[k]), int(owner[k]), words_came[k], place)
        verdict.differ(int(wrong.sum()), text, int(owner[k]))


def _pairs(
    verdict: Verdict, what: str, owner: np.ndarray, contexts: np.ndarray, logged: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Find the record of every expected entry: entries of samples in flight come mixed, those of each in order.

    ``owner``: sample of each entry; ``contexts``: of each sample; ``logged``: of each record.  Returns the numbers of
    entries, rising, and of their records.
    """
    of_entry, at, came = contexts[owner], [], []
    for context in range(count):
        entries, found = np.flatnonzero(of_entry == context), np.flatnonzero(logged == context)
        shared = min(len(entries), len(found))
        at.append(entries[:shared])
        came.append(found[:shared])
        late = int(owner[entries[shared]]) if shared < len(entries) else None
        name = f"{what} in context {context}" if count > 1 else what
        verdict.count(name, len(entries), len(found), late)
    unknown = int(((logged < 0) | (logged >= count)).sum()) + int(((of_entry < 0) | (of_entry >= count)).sum())
    if unknown:
        verdict.extra += unknown
        verdict.differ(0, f"{unknown} {what} of a context that there is not")
    entries = np.concatenate(at)
    order = np.argsort(entries)
    return entries[order], np.concatenate(came)[order]


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
    sample, row = np.divmod(np.arange(len(wanted)), groups)
    contexts, slots = expected["readout_contexts"], expected["readout_slots"]
    if len(wanted) > groups * min(len(contexts), len(slots)):
        verdict.differ(1, "expected contrasts: more rows than samples have")
        return
    at, came = _pairs(verdict, "rows of contrasts", sample, contexts, log["context"], about["contexts"])
    verdict.compared += len(at) * wanted.shape[1]
    words, address, sample = log["words"][came], log["address"][came], sample[at]
    plane, local = np.divmod(address, about["plane_size"])
    in_slot = np.full(len(at), ANY_SLOT)
    wrong = _is_other_plane(plane, in_slot, sample, slots, about["slots"])
    wrong |= (words != wanted[at]).any(axis=1) | (local != row[at])
    if wrong.any():
        k = int(np.argmax(wrong))
        got = f"{words[k].tolist()} at address {int(address[k])}"
        text = f"sample {sample[k]}, contrast, row {row[at[k]]}: expected {wanted[at[k]].tolist()}, got {got}"
        verdict.differ(int(wrong.sum()), text, int(sample[k]))


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
            verdict.counters[name] = values[record]
            if record and counted[number] == ANY_COUNT:
                continue
            wanted = (int(begins[number]) + record * int(counted[number])) % (1 << log.fields[name]["width"])
            verdict.compared += 1
            if values[record] != wanted:
                verdict.differ(1, f"counter {name}{when}: expected {wanted}, got {values[record]}")
