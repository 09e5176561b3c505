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


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """Return the folder of a run that has passed; states form, so that contrast lines are logged too."""
    where = tmp_path_factory.mktemp("run")
    verdict = verify(TINY, where, samples=12, random=True)
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


@pytest.mark.parametrize("name", ["free_words", "readout_words", "nudged_words", "contrasts", "predictions"])
def test_a_missing_expectation_is_found(run: Path, tmp_path: Path, name: str) -> None:
    with np.load(run / "expected.npz") as file:
        array = file[name][:-1]
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
    where = tmp_path_factory.mktemp("inject")
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
