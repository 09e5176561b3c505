"""A block of threads a network: the kernel, run on a processor, gives the golden model's words."""

import os
import secrets
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cpu_device import compiled

from fregen.design.document import Design
from fregen.errors import DataError, FormatError, ToolError
from fregen.golden import NetworkModel
from fregen.golden_batch import BlockModel, CupyDevice
from fregen.golden_batch.block_model import kernel_source
from fregen.golden_batch.program import Kind, Program
from fregen.spec.network import NetworkSpec
from fregen.training.samples import as_words
from fregen.verification.matrix import Choice
from fregen.verification.side_by_side import MOST_SMALL, compare, survey

pytestmark = pytest.mark.golden

FORMATS = ("4/12", "8/10", "12/12", "16/16", "18/18")


def choice(order="sweep", nudged="offset", error="held", rounding="nearest", formats="16/16", batch=8, stop=True):
    return Choice(16, order, nudged, error, rounding, batch, stop, 2, formats)


@pytest.mark.parametrize("nudged", ["offset", "states"])
@pytest.mark.parametrize("error", ["held", "recomputed"])
@pytest.mark.parametrize("order", ["sweep", "synchronous"])
def test_all_formats_and_roundings_in_one_group(device, order, nudged, error):
    choices = [
        choice(order, nudged, error, rounding, formats) for formats in FORMATS for rounding in ("nearest", "stochastic")
    ]
    result = compare([NetworkSpec(c.design()) for c in choices], seed=2, batches=2, using=device)
    assert result.words > 30_000
    assert not result.wrong


def test_random_designs(device):
    """A fresh seed each time, which is printed."""
    seed = secrets.randbelow(2**31)
    print(f"seed {seed}")
    found = survey(12, seed, device, group=3, most=MOST_SMALL)
    assert found.networks >= 12
    assert not found.compared.wrong


def test_tiles_have_edges(device):
    """More neurons, samples and inputs than a tile has, and not by a multiple."""
    table = {"name": "wide", "network": {"layers": (131, 67, 70, 66)}, "learning": {"batch": 32, "free_steps": 2}}
    specs = [NetworkSpec(Design.parse({**table, "numerics": {"rounding": r}})) for r in ("nearest", "stochastic")]
    assert not compare(specs, seed=4, batches=2, using=device).wrong


def test_many_batches_in_one_launch_are_the_batches_one_after_the_other(device):
    rng = np.random.default_rng(3)
    specs = [NetworkSpec(choice(formats=f, rounding="stochastic").design()) for f in FORMATS]
    levels, values = rng.integers(0, 17, (60, 19)).astype(np.uint8), np.arange(17) / 16
    classes, order = rng.integers(0, 5, 60), rng.integers(0, 60, (7, len(specs), 8)).astype(np.int32)
    model = BlockModel(specs, device)
    result = model.train(model.levels(levels, values, classes), device.put(order), [0.25] * len(specs))
    for k, (spec, words, key) in enumerate(zip(specs, model.words, model.keys, strict=True)):
        golden, inputs, right, saturated = NetworkModel(spec), as_words(values[levels], spec), 0, 0
        for number, chosen in enumerate(order[:, k]):
            learnt = golden.learn(inputs[chosen], classes[chosen], 0.25)
            np.testing.assert_array_equal(result.predictions[number, k], learnt.predictions)
            np.testing.assert_array_equal(result.nudged_steps[number, k], learnt.nudged_steps)
            right += int((learnt.predictions == classes[chosen]).sum())
            saturated += learnt.offset_saturations
        assert (key, result.right[k], result.offset_saturations[k]) == (golden.key, right, saturated)
        for ours, theirs in zip(words, golden.weights, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_a_training_goes_on_from_words_and_keys(device):
    specs = [NetworkSpec(choice(rounding="stochastic", formats=f).design()) for f in FORMATS]
    rng, rates = np.random.default_rng(5), [0.5] * len(specs)
    inputs, labels = rng.integers(-8, 8, (4, len(specs), 8, 19)), rng.integers(0, 5, (4, len(specs), 8))
    through, half = BlockModel(specs, device), BlockModel(specs, device)
    for number in range(4):
        through.learn(inputs[number], labels[number], rates)
    for number in range(2):
        half.learn(inputs[number], labels[number], rates)
    resumed = BlockModel(specs, device)
    resumed.load(half.words, half.keys)
    for number in range(2, 4):
        resumed.learn(inputs[number], labels[number], rates)
    assert resumed.keys == through.keys
    for ours, theirs in zip(resumed.words, through.words, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", [Kind.PRODUCT, Kind.UPDATE])
def test_one_wrong_shift_in_one_network_is_found(device, monkeypatch, kind):
    specs = [NetworkSpec(choice(formats=f).design()) for f in ("8/10", "16/16", "12/12")]
    if kind is Kind.PRODUCT:
        build = Program.__post_init__

        def wrong(program):
            build(program)
            program.shifts[0] = (program.shifts[0][0], program.shifts[0][1] + 1, program.shifts[0][2])

        monkeypatch.setattr(Program, "__post_init__", wrong)
    else:
        monkeypatch.setattr(
            "fregen.golden_batch.bounds.Bounds.update_shift",
            lambda bounds, spec, matrix, rate: spec.update_shift(matrix, rate) + (spec is specs[1]),
        )
    lines = compare(specs, seed=5, using=device).wrong
    assert lines
    assert all(line.startswith("network 1 ") for line in lines)


def test_a_rest_is_left_early(device):
    """With ``stop`` a network whose samples are all at rest leaves its phase; without it, it makes all steps."""
    steps = [
        BlockModel([NetworkSpec(choice(stop=stop).design())], device)
        .learn(np.zeros((1, 8, 19), dtype=np.int64), np.zeros((1, 8), dtype=np.int64), [0.25])
        .free_steps[0, 0]
        for stop in (True, False)
    ]
    assert [list(s) for s in steps] == [[1] * 8, [7] * 8]


def test_formats_that_double_does_not_hold_are_refused(device):
    wide = {"state": "q1.23", "weight": "q2.22", "offset": "q2.22"}
    network = {"layers": (300, 3, 2), "beta": 1.0}
    spec = NetworkSpec(Design.parse({"name": "w", "network": network, "numerics": wide}))
    with pytest.raises(FormatError, match=r"a product can reach 2\*\*53: too wide for a block of threads"):
        BlockModel([spec], device)


@pytest.mark.parametrize("shape", [(2, 8, 19), (1, 9, 19), (1, 0, 19), (1, 8, 18)])
def test_samples_that_do_not_fit_are_refused(device, shape):
    model = BlockModel([NetworkSpec(choice().design())], device)
    with pytest.raises(DataError, match="inputs: expected 1 x 1 to 8 x inputs words"):
        model.learn(np.zeros(shape, dtype=np.int64), np.zeros(shape[:2], dtype=np.int64), [0.25])


def test_weights_keys_and_rates_that_do_not_fit_are_refused(device):
    model = BlockModel([NetworkSpec(choice().design())], device)
    with pytest.raises(DataError, match="expected weights of 1 networks, and a key"):
        model.load(model.words, [0])
    with pytest.raises(DataError, match="expected a rate for each of 1 networks, not 2"):
        model.learn(np.zeros((1, 8, 19), dtype=np.int64), np.zeros((1, 8), dtype=np.int64), [0.25, 0.25])


def test_without_a_gpu_it_says_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(ToolError, match=r"no GPU that CuPy can use .*: pip install 'fregen\[gpu\]'"):
        CupyDevice()


RACE = """
import sys
sys.path.insert(0, {folder!r})
from cpu_device import CpuDevice
from fregen.verification.side_by_side import survey
print(survey(6, 12, CpuDevice({library!r}), group=2, most=400_000))
"""


@pytest.mark.long
@pytest.mark.parametrize("barrier", [True, False])
def test_no_barrier_is_missing(tmp_path, barrier):
    """Threads of a block race for nothing, as the thread sanitizer sees it; with a barrier less it does."""
    here = Path(__file__).parent
    source = kernel_source()
    place = source.index("multiply(total[j], one, two")
    before = source.rindex("SYNC();", 0, place)
    copy = source if barrier else source[:before] + source[before + len("SYNC();") :]
    library = compiled(tmp_path, 8, "-fsanitize=thread", "-g", source=copy)
    runtime = subprocess.run(["g++", "-print-file-name=libtsan.so"], capture_output=True, text=True, check=True)
    program = RACE.format(folder=str(here), library=str(library))
    environment = {**os.environ, "LD_PRELOAD": runtime.stdout.strip(), "TSAN_OPTIONS": "exitcode=66"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert ("data race" in done.stderr) != barrier, done.stderr[-2000:]
    assert "networks" in done.stdout
