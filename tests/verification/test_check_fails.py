"""A bench that cannot fail is a defect: every array that the check compares is corrupted, every log is cut."""

import sys
from pathlib import Path

import numpy as np
import pytest

from fregen.design.document import Design
from fregen.emit.render import folder
from fregen.faults.inject import GOLDEN, InjectResult, inject
from fregen.faults.prove import Prover
from fregen.hdl.beat import Sizes
from fregen.hdl.ports import core_ports
from fregen.plan import Schedule
from fregen.spec.network import NetworkSpec
from fregen.verification.verify import verify

sys.path.insert(0, str(folder("sim")))
import check

pytestmark = pytest.mark.rtl

ROOT = Path(__file__).parents[2]
LOGS = ("words", "weights", "predictions", "readback", "counters")


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """Return the folder of a run that has passed; states form, so that contrast lines are logged too."""
    where = tmp_path_factory.mktemp("run")
    design = Design.load(ROOT / "rtl/tiny/design.toml").replace(learning={"nudged": "states"})
    verdict = verify(design, where, samples=12, random=True)
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


@pytest.mark.parametrize("name", ["free_words", "readout_words", "nudged_words", "lines", "predictions"])
def test_a_missing_expectation_is_found(run: Path, tmp_path: Path, name: str) -> None:
    with np.load(run / "expected.npz") as file:
        array = file[name][:-1]
    assert verdict_with(run, tmp_path, **{name: array}).mismatches > 0


@pytest.mark.parametrize("log", [*LOGS, "lines"])
def test_a_silent_core_is_found(run: Path, tmp_path: Path, log: str) -> None:
    verdict_with(run, tmp_path)
    (tmp_path / f"{log}.bin").write_bytes(b"")
    assert check.check(tmp_path).mismatches > 0


@pytest.mark.parametrize("log", [*LOGS, "lines"])
def test_a_wrong_log_is_found(run: Path, tmp_path: Path, log: str) -> None:
    verdict_with(run, tmp_path)
    path = tmp_path / f"{log}.bin"
    words = np.fromfile(path, dtype="<u4")
    words[-1 if log != "counters" else 0] ^= 1
    words.tofile(path)
    assert check.check(tmp_path).mismatches > 0


@pytest.fixture(scope="module")
def injected(tmp_path_factory) -> tuple[InjectResult, Path]:
    where = tmp_path_factory.mktemp("inject")
    return inject(Design.load(ROOT / "rtl/tiny/design.toml"), where, faults=20, seed=0), where


def test_every_fault_is_caught(injected: tuple[InjectResult, Path]) -> None:
    """These twenty need no proof, whose time is limited."""
    result, _ = injected
    assert result.passed, result.table()
    assert sum(result.caught.values()) == 20


def test_no_caught_fault_is_proven_equivalent(injected: tuple[InjectResult, Path], tmp_path: Path) -> None:
    """All of them were caught; the number that selects none is proven at once."""
    _, where = injected
    sizes = Sizes(Schedule.of(NetworkSpec(Design.load(ROOT / "rtl/tiny/design.toml"))))
    prover = Prover(where / "rtl" / "faults.aag", core_ports(sizes))
    assert prover.prove(999, tmp_path, 5, False)[0] == "registers"
    found = [prover.prove(number, tmp_path, 1, False) for number in range(1, 9)]
    assert {method for method, _ in found} == {None}
    assert any("refuted" in verdicts.values() for _, verdicts in found)


@pytest.mark.long
def test_every_fault_of_the_demonstration_is_caught_or_proven_equivalent(tmp_path: Path) -> None:
    result = inject(Design.load(ROOT / "rtl/digits/design.toml"), tmp_path, faults=200, seed=0)
    assert result.passed, result.table()
