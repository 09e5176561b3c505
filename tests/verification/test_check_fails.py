"""A bench that cannot fail is a defect: every array that the check compares is corrupted, every log is cut."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from fregen.design.document import Design
from fregen.emit.render import folder
from fregen.faults.history import History
from fregen.faults.inject import GOLDEN, InjectResult, inject
from fregen.faults.prove import Prover, Verdicts
from fregen.hdl.beat import Sizes
from fregen.hdl.ports import core_ports
from fregen.plan import Schedule
from fregen.plan.counters import COUNTERS
from fregen.plan.records import Field, records
from fregen.spec.network import NetworkSpec
from fregen.verification.verify import verify

sys.path.insert(0, str(folder("sim")))
import check

pytestmark = pytest.mark.rtl

ROOT = Path(__file__).parents[2]
TINY = Design.load(ROOT / "rtl/tiny/design.toml").replace(learning={"nudged": "states"})
LAYOUT = records(core_ports(Sizes(Schedule.of(NetworkSpec(TINY)))))
FIELDS = [(log, field) for log, record in LAYOUT.items() for field in record.fields]
PAIR = TINY.replace(hardware={"samples": 2})
PAIR_LAYOUT = records(core_ports(Sizes(Schedule.of(NetworkSpec(PAIR)))))
SEVERAL = TINY.replace(hardware={"drain": 2, "words": 4})
SEVERAL_LAYOUT = records(core_ports(Sizes(Schedule.of(NetworkSpec(SEVERAL)))))
MIXED = [(log, field) for log in ("words", "contrasts") for field in PAIR_LAYOUT[log].fields]
"""Fields of the logs in which records of two samples in flight come mixed."""


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """Return the folder of a run that has passed; states form, so that contrast lines are logged too."""
    where = tmp_path_factory.mktemp("run")
    verdict = verify(TINY, where, samples=12, random=True)
    assert verdict.passed, verdict.result.first
    return where


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> Path:
    """Return the folder of a run with two samples in flight that has passed."""
    where = tmp_path_factory.mktemp("pair")
    verdict = verify(PAIR, where, samples=12, random=True)
    assert verdict.passed, verdict.result.first
    return where


@pytest.fixture(scope="module")
def several(tmp_path_factory) -> Path:
    """Return the folder of a run in which two words are written at a time that has passed."""
    where = tmp_path_factory.mktemp("several")
    verdict = verify(SEVERAL, where, samples=12, random=True)
    assert verdict.passed, verdict.result.first
    return where


def verdict_with(run: Path, tmp_path: Path, **changed: np.ndarray) -> check.Verdict:
    """Check the run's logs against changed expectations."""
    with np.load(run / "expected.npz") as file:
        arrays = {name: file[name] for name in file.files}
    np.savez(tmp_path / "expected.npz", **{**arrays, **changed})
    for log in run.glob("*.bin"):
        (tmp_path / log.name).write_bytes(log.read_bytes())
    return check.check(tmp_path)


def test_unchanged_passes(run: Path, tmp_path: Path) -> None:
    verdict = verdict_with(run, tmp_path)
    assert verdict.mismatches == 0
    assert verdict.compared > 1000


@pytest.mark.parametrize("name", GOLDEN)
@pytest.mark.parametrize("place", [0, -1], ids=["first", "last"])
def test_one_wrong_bit_is_found(run: Path, tmp_path: Path, name: str, place: int) -> None:
    with np.load(run / "expected.npz") as file:
        array = file[name].copy()
    compared = array[1:] if name == "weights" else array  # image 0 is what the bench loads
    compared.reshape(-1)[place] ^= 1
    assert verdict_with(run, tmp_path, **{name: array}).mismatches > 0


OF_SAMPLES = ["free_slots", "free_contexts", "readout_slots", "readout_contexts"]
OF_WORDS = [
    f"{phase}_{what}" for phase in ("free", "readout", "nudged") for what in ("words", "sites", "planes", "counts")
]


@pytest.mark.parametrize("name", [*OF_WORDS, *OF_SAMPLES, "contrasts", "predictions"])
def test_a_missing_expectation_is_found(run: Path, tmp_path: Path, name: str) -> None:
    with np.load(run / "expected.npz") as file:
        array = file[name][:-1]
    assert verdict_with(run, tmp_path, **{name: array}).mismatches > 0


@pytest.mark.parametrize("name", [*OF_WORDS, *OF_SAMPLES, "predictions"])
def test_an_expectation_too_many_is_found(run: Path, tmp_path: Path, name: str) -> None:
    with np.load(run / "expected.npz") as file:
        array = np.append(file[name], file[name][-1:])
    assert verdict_with(run, tmp_path, **{name: array}).mismatches > 0


@pytest.mark.parametrize("log", LAYOUT)
def test_a_silent_core_is_found(run: Path, tmp_path: Path, log: str) -> None:
    verdict_with(run, tmp_path)
    (tmp_path / f"{log}.bin").write_bytes(b"")
    assert not check.check(tmp_path).passed


@pytest.mark.parametrize("log", LAYOUT)
def test_a_log_that_was_cut_off_is_found(run: Path, tmp_path: Path, log: str) -> None:
    verdict_with(run, tmp_path)
    path, size = tmp_path / f"{log}.bin", LAYOUT[log].size
    path.write_bytes(path.read_bytes()[: -4 * size])
    assert check.check(tmp_path).missing + check.check(tmp_path).different > 0
    path.write_bytes((run / f"{log}.bin").read_bytes() + b"\0" * 4 * size)
    assert check.check(tmp_path).extra + check.check(tmp_path).different > 0
    if size > 1:
        path.write_bytes((run / f"{log}.bin").read_bytes() + b"\0" * 4)
        assert check.check(tmp_path).first[0] == f"log {log}: its last record is cut off after 1 words of 32 bits"


@pytest.mark.parametrize(("log", "field"), FIELDS, ids=[f"{log}-{field.name}" for log, field in FIELDS])
@pytest.mark.parametrize("bit", [0, -1], ids=["lowest bit", "highest bit"])
def test_a_wrong_bit_of_any_field_of_a_log_is_found(
    run: Path, tmp_path: Path, log: str, field: Field, bit: int
) -> None:
    verdict_with(run, tmp_path)
    path, place = tmp_path / f"{log}.bin", field.bit + bit % field.width
    words = np.fromfile(path, dtype="<u4").reshape(-1, LAYOUT[log].size)
    words[:, field.word + place // 32] ^= np.uint32(1 << place % 32)
    words.tofile(path)
    assert not check.check(tmp_path).passed


def records_of(run: Path, tmp_path: Path, log: str) -> np.ndarray:
    """Records of a log of two samples in flight, after all logs have been copied."""
    assert verdict_with(run, tmp_path).mismatches == 0
    return np.fromfile(tmp_path / f"{log}.bin", dtype="<u4").reshape(-1, PAIR_LAYOUT[log].size)


def context_of(log: str, words: np.ndarray) -> tuple[np.ndarray, Field]:
    field = next(field for field in PAIR_LAYOUT[log].fields if field.name == "context")
    return words[:, field.word] >> field.bit & 1, field


@pytest.mark.parametrize("log", ["words", "contrasts"])
def test_samples_in_flight_may_be_mixed_in_any_way(pair: Path, tmp_path: Path, log: str) -> None:
    """All records of one context first, then the other's: each in its own order.  In the run they do come mixed."""
    words = records_of(pair, tmp_path, log)
    context, _ = context_of(log, words)
    assert set(context.tolist()) == {0, 1}
    if log == "words":
        assert (np.diff(context.astype(int)) != 0).sum() > 20
    words[np.argsort(context, kind="stable")].tofile(tmp_path / f"{log}.bin")
    assert check.check(tmp_path).passed
    words[np.argsort(1 - context, kind="stable")].tofile(tmp_path / f"{log}.bin")
    assert check.check(tmp_path).passed


@pytest.mark.parametrize("log", ["words", "contrasts"])
def test_contexts_exchanged_are_found(pair: Path, tmp_path: Path, log: str) -> None:
    """Of all records; of two that follow each other; and of the last one, which then is missing in its own."""
    words = records_of(pair, tmp_path, log)
    context, field = context_of(log, words)
    first = int(np.flatnonzero(np.diff(context.astype(int)))[0])
    for chosen in (slice(None), slice(first, first + 2), slice(-1, None)):
        changed = words.copy()
        changed[chosen, field.word] ^= np.uint32(1 << field.bit)
        changed.tofile(tmp_path / f"{log}.bin")
        verdict = check.check(tmp_path)
        assert verdict.mismatches > 0
        assert not verdict.passed


@pytest.mark.parametrize("log", ["words", "contrasts"])
def test_records_of_a_sample_in_another_order_are_found(pair: Path, tmp_path: Path, log: str) -> None:
    words = records_of(pair, tmp_path, log)
    context, _ = context_of(log, words)
    mine = np.flatnonzero(context == context[0])
    at = next(k for k in range(len(mine) - 1) if (words[mine[k]] != words[mine[k + 1]]).any())
    words[mine[[at, at + 1]]] = words[mine[[at + 1, at]]]
    words.tofile(tmp_path / f"{log}.bin")
    assert not check.check(tmp_path).passed


@pytest.mark.parametrize("name", ["free", "readout"])
def test_samples_expected_in_other_contexts_are_found(pair: Path, tmp_path: Path, name: str) -> None:
    with np.load(pair / "expected.npz") as file:
        contexts = file[f"{name}_contexts"]
    assert set(contexts.tolist()) == {0, 1}
    assert verdict_with(pair, tmp_path, **{f"{name}_contexts": 1 - contexts}).mismatches > 0
    for wrong in (2, -1):
        unknown = np.where(np.arange(len(contexts)) == 1, wrong, contexts)
        assert "of a context that there is not" in "".join(
            verdict_with(pair, tmp_path, **{f"{name}_contexts": unknown}).first
        )


@pytest.mark.parametrize("name", [*GOLDEN, "free_contexts", "readout_contexts"])
@pytest.mark.parametrize("place", [0, -1], ids=["first", "last"])
def test_one_wrong_bit_is_found_of_samples_in_flight(pair: Path, tmp_path: Path, name: str, place: int) -> None:
    test_one_wrong_bit_is_found(pair, tmp_path, name, place)


@pytest.mark.parametrize(("log", "field"), MIXED, ids=[f"{log}-{field.name}" for log, field in MIXED])
@pytest.mark.parametrize("bit", [0, -1], ids=["lowest bit", "highest bit"])
def test_a_wrong_bit_of_a_mixed_log_is_found(pair: Path, tmp_path: Path, log: str, field: Field, bit: int) -> None:
    """Of a single record in the middle."""
    words = records_of(pair, tmp_path, log)
    place = field.bit + bit % field.width
    words[len(words) // 2, field.word + place // 32] ^= np.uint32(1 << place % 32)
    words.tofile(tmp_path / f"{log}.bin")
    assert not check.check(tmp_path).passed


def valid_exchanged(words: np.ndarray, fields: dict[str, Field], chosen: int) -> None:
    """The other word of a record that holds one; none of two."""
    words[chosen, fields["valid"].word] ^= np.uint32(3 << fields["valid"].bit)


def valid_cleared(words: np.ndarray, fields: dict[str, Field], chosen: int) -> None:
    words[chosen, fields["valid"].word] &= ~np.uint32(3 << fields["valid"].bit)


def valid_flipped(words: np.ndarray, fields: dict[str, Field], chosen: int) -> None:
    """A word too many, or one that is left out."""
    words[chosen, fields["valid"].word] ^= np.uint32(2 << fields["valid"].bit)


def in_the_next_lane(words: np.ndarray, fields: dict[str, Field], chosen: int) -> None:
    words[chosen, fields["lane"].word] ^= np.uint32(1 << fields["lane"].bit)


def in_the_next_row(words: np.ndarray, fields: dict[str, Field], chosen: int) -> None:
    words[chosen, fields["lane"].word] ^= np.uint32(2 << fields["lane"].bit)


def other_words(words: np.ndarray, fields: dict[str, Field], chosen: int) -> None:
    """One bit of each word that counts."""
    valid, at = fields["valid"], fields["words"].word
    for k in range(2):
        words[chosen, at + k] ^= words[chosen, valid.word] >> (valid.bit + k) & 1


KINDS = {"two words": (0b11, 0), "a word alone": (0b01, 0), "an error": (0b01, 1), "an error in the second": (0b10, 1)}
CHANGES = [valid_exchanged, valid_cleared, valid_flipped, in_the_next_lane, in_the_next_row, other_words]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("change", CHANGES)
def test_a_word_of_several_that_is_elsewhere_or_another_is_found(several: Path, tmp_path: Path, change, kind) -> None:
    """Of a single record of every kind: of two words, of one neuron of a last group, of an error in either place."""
    verdict_with(several, tmp_path)
    layout, path = SEVERAL_LAYOUT["words"], tmp_path / "words.bin"
    fields = {field.name: field for field in layout.fields}
    words = np.fromfile(path, dtype="<u4").reshape(-1, layout.size)
    valid, is_error = (
        words[:, fields[name].word] >> fields[name].bit & mask for name, mask in (("valid", 3), ("error", 1))
    )
    found = np.flatnonzero((valid == KINDS[kind][0]) & (is_error == KINDS[kind][1]))
    assert len(found) > 12
    change(words, fields, found[len(found) // 2])
    words.tofile(path)
    assert check.check(tmp_path).mismatches > 0


def test_a_count_that_is_not_demanded_may_be_any(pair: Path, tmp_path: Path) -> None:
    """What waits depends on the host, if it falters: all other counters are demanded all the same."""
    with np.load(pair / "expected.npz") as file:
        counted, at = file["counters"], COUNTERS.index("waiting_cycles")
    other = np.where(np.arange(len(counted)) == at, counted + 1, counted)
    any_wait = np.where(np.arange(len(counted)) == at, check.ANY_COUNT, counted)
    assert counted[at] > 0
    assert verdict_with(pair, tmp_path, counters=other).mismatches == 1
    assert verdict_with(pair, tmp_path, counters=any_wait).passed
    any_wait[at - 1] += 1
    assert verdict_with(pair, tmp_path, counters=any_wait).mismatches == 1


def test_logs_of_another_run_are_refused(run: Path, tmp_path: Path) -> None:
    """A second verification in one folder, with other samples, as the first one's logs are compared."""
    with np.load(run / "expected.npz") as file:
        about = json.loads(str(file["about"]))
    other = np.array(json.dumps({**about, "run": "0123456789abcdef"}))
    verdict = verdict_with(run, tmp_path, about=other)
    assert not verdict.passed
    assert verdict.first[-1] == f"the logs belong to run {about['run']}, the expected words to run 0123456789abcdef"


def test_an_expectation_that_nothing_compares_is_found(run: Path, tmp_path: Path) -> None:
    verdict = verdict_with(run, tmp_path, free_colour=np.zeros(3))
    assert verdict.first == ["expected words: nothing compares free_colour"]


def test_words_that_differ_are_told_apart_from_words_that_never_came(run: Path, tmp_path: Path) -> None:
    verdict_with(run, tmp_path)
    path = tmp_path / "words.bin"
    words = np.fromfile(path, dtype="<u4").reshape(-1, LAYOUT["words"].size)
    whole = check.check(tmp_path).compared
    words[0, -1] ^= 1
    words[:-100].tofile(path)
    verdict = check.check(tmp_path)
    assert (verdict.different, verdict.missing, verdict.extra) == (1, 100, 0)
    assert verdict.compared == whole - 100


@pytest.fixture(scope="module")
def injected(tmp_path_factory) -> tuple[InjectResult, Path]:
    where = tmp_path_factory.mktemp("planted faults")
    return inject(Design.load(ROOT / "rtl/tiny/design.toml"), where, faults=16, seed=1), where


def test_every_fault_is_caught(injected: tuple[InjectResult, Path]) -> None:
    """Or proven to change nothing."""
    result, _ = injected
    assert result.passed, result.table()
    assert sum(result.caught.values()) + sum(result.equivalent.values()) == 16
    assert sum(result.caught.values()) >= 12


def test_a_core_without_a_fault_passes_all_runs_that_look_for_one(injected: tuple[InjectResult, Path]) -> None:
    """Five, of which three have faltering streams: there the last prediction may still wait when the core is idle."""
    result, _ = injected
    assert result.runs >= 16 + 5


def test_counters_carry_through_all_their_bits_after_an_odd_number_of_counts(
    injected: tuple[InjectResult, Path],
) -> None:
    """Else a fault that turns a high bit over with each count could turn it back; the carry comes within a run."""
    _, where = injected
    totals = []
    for run in sorted(where.glob("broad_*")):
        with np.load(run / "expected.npz") as file:
            distance = (1 << 47) - file["counter_start"]
            totals.append(file["counters"])
        assert np.all(distance % 2 == 1)
    assert len(totals) == 5
    counted = np.max(totals, axis=0)
    assert np.all(distance[counted > 1] <= counted[counted > 1])


def test_no_caught_fault_is_proven_equivalent(injected: tuple[InjectResult, Path], tmp_path: Path) -> None:
    """The number that selects none is proven at once."""
    result, where = injected
    caught = set(range(1, 9)) - {int(text.split()[1].rstrip(":")) for text in result.proven}
    prover = Prover(where / "rtl" / "faults.aag", core_ports(Sizes(Schedule.of(NetworkSpec(TINY)))))
    assert prover.prove(999, tmp_path, 5, False)[0] == "registers"
    # The checker merges registers first where they may differ for a cycle: of the first two faults that takes 7 s each.
    known: list[Verdicts] = [{("data", 1): "refuted"} if at < 2 else {} for at in range(len(caught))]
    found = [prover.prove(number, tmp_path, 1, False, told) for number, told in zip(sorted(caught), known, strict=True)]
    assert {method for method, _ in found} == {None}
    assert {verdicts["beats", 0] for _, verdicts in found} == {"refuted"}
    assert "refuted" in {verdicts["data", 1] for _, verdicts in found[2:]}
    history = History(prover.net, prover.inputs, prover.outputs, prover.observed)
    assert history.prove(999, tmp_path / "none.aig", 5) == "proved"
    assert "proved" not in {history.prove(number, tmp_path / "fault.aig", 10) for number in sorted(caught)[:4]}


@pytest.mark.long
def test_every_fault_of_the_demonstration_is_caught_or_proven_equivalent(tmp_path: Path) -> None:
    result = inject(Design.load(ROOT / "rtl/digits/design.toml"), tmp_path, faults=200, seed=0)
    assert result.passed, result.table()
