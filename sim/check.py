"""Compare the log of a simulation with what the golden model expects: every word, and where it was written.

Needs numpy and the files of one run, nothing else: ``expected.npz`` and the bench's logs.  Nothing is sampled and
nothing may be left over on either side: a silent core fails.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

COUNTERS = [
    "free_cycles",
    "free_macs",
    "readout_cycles",
    "readout_macs",
    "nudged_cycles",
    "nudged_macs",
    "update_cycles",
    "update_macs",
    "samples",
    "free_steps",
    "nudged_steps",
    "updates",
    "weight_saturations",
    "offset_saturations",
]
COUNTER_BYTES = 6
COUNTER_RECORD = (COUNTER_BYTES * len(COUNTERS) // 4 + 1) * 4
PHASES = ("free", "readout", "nudged", "update")
ANY_SLOT = 0xFFF


@dataclass
class Verdict:
    """What a comparison found.

    Attributes
    ----------
    compared : int
        Words compared.
    mismatches : int
        Words that differ, stand at another place, are missing, or are too many.
    first : list of str
        The first mismatches in words.
    sample : int or None
        Sample of the first mismatch that belongs to one.
    counters : dict
        The core's counters.
    """

    compared: int = 0
    mismatches: int = 0
    first: list[str] = field(default_factory=list)
    sample: int | None = None
    counters: dict[str, int] = field(default_factory=dict)

    def report(self, count: int, text: str, sample: int | None = None) -> None:
        """Note mismatches, and tell the first few."""
        self.mismatches += count
        if len(self.first) < 8:
            self.first.append(text)
        if sample is not None and (self.sample is None or sample < self.sample):
            self.sample = sample

    def save(self, path: Path) -> None:
        """Write the verdict as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")


def read(path: Path, width: int) -> np.ndarray:
    """Read the records of a log, (records, width) int32; an incomplete last record is cut."""
    words = np.fromfile(path, dtype="<i4") if path.exists() else np.empty(0, dtype="<i4")
    return words[: words.size // width * width].reshape(-1, width)


def describe(word: int, form: np.ndarray) -> str:
    """Value, format and digits of a word."""
    width = int(form[0] + form[1])
    digits = f"{int(word) & ((1 << width) - 1):0{(width + 3) // 4}x}"
    return f"{int(word) / 2 ** int(form[1]):+.{int(form[1])}f} (q{form[0]}.{form[1]} 0x{digits})"


def check(folder: Path) -> Verdict:
    """Compare the logs in a folder with its ``expected.npz``."""
    folder = Path(folder)
    verdict = Verdict()
    with np.load(folder / "expected.npz") as file:
        expected = {name: file[name] for name in file.files}
    lanes = expected["weights"].shape[2]
    events = read(folder / "words.bin", 2)
    places = events[:, 0]
    phases = (places >> 22) & 3
    known = np.isin(phases, (0, 1, 2))
    if not known.all():
        verdict.report(
            int((~known).sum()), f"{int((~known).sum())} words were written outside the phases that write words"
        )
    for number, phase in enumerate(PHASES[:3]):
        chosen = phases == number
        _stream(verdict, expected, phase, places[chosen], events[chosen, 1])
    _lines(verdict, expected, read(folder / "lines.bin", 1 + lanes))
    _weights(verdict, expected, read(folder / "weights.bin", 4 + lanes))
    _rows(verdict, "prediction", expected["predictions"], read(folder / "predictions.bin", 1)[:, 0], True)
    image = expected["weights"][-1].reshape(-1)
    _rows(verdict, "read-back word", image, read(folder / "readback.bin", 1)[:, 0], False)
    _counters(verdict, expected, folder / "counters.bin")
    return verdict


def _stream(verdict: Verdict, expected: dict, phase: str, places: np.ndarray, words: np.ndarray) -> None:
    """Words of one phase, in order."""
    wanted, where, planes = (expected[f"{phase}_{kind}"] for kind in ("words", "places", "planes"))
    size = int(expected["plane_size"])
    plane = (places & 0xFFF) // size
    local = places & ~0xFFF | (places & 0xFFF) % size
    shared = min(len(words), len(wanted))
    verdict.compared += shared
    slot = planes[:shared] == ANY_SLOT
    wrong_plane = np.where(slot, plane[:shared] >= int(expected["slots"]), plane[:shared] != planes[:shared])
    counts = expected[f"{phase}_counts"]
    owner = np.repeat(np.arange(len(counts)), counts)[:shared]
    if shared:
        begins = np.searchsorted(owner[slot], np.arange(len(counts)))
        inside = begins < slot.sum()
        of_sample = np.zeros(len(counts), dtype=plane.dtype)
        of_sample[inside] = plane[:shared][slot][begins[inside]]
        told = expected["free_slots" if phase == "free" else "readout_slots"]
        of_sample = np.where(told != -1, told, of_sample)
        wrong_plane |= slot & (plane[:shared] != of_sample[owner])
    wrong = (words[:shared] != wanted[:shared]) | (local[:shared] != where[:shared]) | wrong_plane
    if wrong.any():
        at = int(np.argmax(wrong))
        verdict.report(int(wrong.sum()), _tell(expected, phase, at, places, words), int(owner[at]))
    if len(words) != len(wanted):
        text = f"{phase} phase: {len(wanted)} words expected, {len(words)} written"
        sample = int(np.repeat(np.arange(len(counts)), counts)[shared]) if shared < len(wanted) else None
        verdict.report(abs(len(words) - len(wanted)), text, sample)


def _tell(expected: dict, phase: str, at: int, places: np.ndarray, words: np.ndarray) -> str:
    """Name the word at a place of a stream."""
    counts = expected[f"{phase}_counts"]
    ends = np.cumsum(counts)
    sample = int(np.searchsorted(ends, at, side="right"))
    inside = at - int(ends[sample] - counts[sample])
    wanted, where = expected[f"{phase}_words"][at], int(expected[f"{phase}_places"][at])
    neurons = expected["neurons"]
    order = expected["nudged_order" if phase == "nudged" else "free_order"]
    hidden = int(sum(neurons[layer] for layer in order))
    step, layer, neuron, form = 0, len(neurons) - 1, inside, expected["error_format"]
    if phase != "readout":
        skip = int(expected["nudged_skip"]) if phase == "nudged" else 0
        step, inside = divmod(inside + skip, hidden + skip)
        inside -= skip
        neuron = inside + skip
        if inside >= 0:
            form = expected["offset_format" if phase == "nudged" and expected["has_offsets"] else "state_format"]
            neuron = inside
            for layer in order:
                if neuron < neurons[layer]:
                    break
                neuron -= int(neurons[layer])
    text = f"sample {sample}, {phase} phase, step {step + 1}, layer {layer}, neuron {neuron}: "
    text += f"expected {describe(wanted, form)}, got {describe(words[at], form)}"
    if int(places[at]) & ~0xFFF != where & ~0xFFF or (int(places[at]) - where) % int(expected["plane_size"]):
        text += f"; place 0x{int(places[at]):x} instead of 0x{where:x}"
    elif words[at] == wanted:
        text += f"; in another plane (address 0x{int(places[at]) & 0xFFF:x})"
    return text


def _lines(verdict: Verdict, expected: dict, log: np.ndarray) -> None:
    """Contrasts of the ``states`` form."""
    wanted, groups = expected["lines"], int(expected["line_groups"])
    shared = min(len(log), len(wanted))
    verdict.compared += shared * wanted.shape[1]
    local = log[:shared, 0] % int(expected["plane_size"])
    wrong = (log[:shared, 1:] != wanted[:shared]).any(axis=1) | (local != np.arange(shared) % groups)
    if wrong.any():
        at = int(np.argmax(wrong))
        got = f"{log[at, 1:].tolist()} at address {int(log[at, 0])}"
        text = f"sample {at // groups}, contrast, line {at % groups}: expected {wanted[at].tolist()}, got {got}"
        verdict.report(int(wrong.sum()), text, at // groups)
    if len(log) != len(wanted):
        verdict.report(abs(len(log) - len(wanted)), f"contrast: {len(wanted)} lines expected, {len(log)} written")


def _weights(verdict: Verdict, expected: dict, log: np.ndarray) -> None:
    """All weights after every update: the memory as the log of writes, and loads between updates, leave it."""
    images = expected["weights"]
    loads = dict(zip(expected["loads"].tolist(), expected["loaded"], strict=True)) if "loads" in expected else {}
    updates, depth, lanes = len(images) - 1, images.shape[1], images.shape[2]
    memory = images[0].copy()
    masks = (log[:, 2].astype(np.int64) & 0xFFFFFFFF) | (log[:, 3].astype(np.int64) << 32)
    enabled = (masks[:, None] >> np.arange(lanes)) & 1 != 0
    if len(log) and (log[:, 0].max() >= updates or (np.diff(log[:, 0]) < 0).any()):
        verdict.report(1, f"weights were written after the last of {updates} updates")
    if len(log) and log[:, 1].max() >= depth:
        verdict.report(1, f"weights were written beyond address {depth - 1}")
        log, enabled = log[log[:, 1] < depth], enabled[log[:, 1] < depth]
    bounds = np.searchsorted(log[:, 0], np.arange(updates + 1))
    for update in range(updates):
        if update in loads:
            memory = loads[update].copy()
        part = slice(bounds[update], bounds[update + 1])
        row, lane = np.nonzero(enabled[part])
        memory[log[part, 1][row], lane] = log[part, 4:][row, lane]
        verdict.compared += int(expected["real_weights"])
        wrong = memory != images[update + 1]
        if wrong.any():
            address, lane_at = (int(axis[0]) for axis in np.nonzero(wrong))
            name = _weight_name(expected, address, lane_at)
            form = expected["weight_format"]
            wanted, got = describe(images[update + 1][address, lane_at], form), describe(memory[address, lane_at], form)
            sample = int(expected["batch_ends"][update]) - 1
            text = f"update {update} (after sample {sample}), {name}: expected {wanted}, got {got}"
            verdict.report(int(wrong.sum()), text, sample)
            memory = images[update + 1].copy()


def _weight_name(expected: dict, address: int, lane: int) -> str:
    """Matrix, row and column of a weight."""
    lanes = expected["weights"].shape[2]
    for number, (base, stride, rows, columns, row_layer, column_layer) in enumerate(expected["matrices"].tolist()):
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
        verdict.report(int(wrong.sum()), text, at if is_sample else None)
    if len(wanted) != len(got):
        verdict.report(abs(len(wanted) - len(got)), f"{len(wanted)} {name}s expected, {len(got)} came")


def _counters(verdict: Verdict, expected: dict, path: Path) -> None:
    """Compare the core's counters: after reset, and at the end."""
    raw = path.read_bytes() if path.exists() else b""
    if len(raw) < 2 * COUNTER_RECORD:
        verdict.report(len(COUNTERS), "the core's counters were never read: the run did not come to its end")
        return
    begins = expected["counter_start"].tolist()
    for record, when in enumerate((" after reset", "")):
        for number, name in enumerate(COUNTERS):
            at = COUNTER_RECORD * record + COUNTER_BYTES * number
            got = int.from_bytes(raw[at : at + COUNTER_BYTES], "little")
            wanted = (begins[number] + record * int(expected["counters"][number])) % (1 << 8 * COUNTER_BYTES)
            verdict.counters[name] = got
            verdict.compared += 1
            if got != wanted:
                verdict.report(1, f"counter {name}{when}: expected {wanted}, got {got}")
