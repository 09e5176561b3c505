"""The generated Verilog as C++ by yosys's write_cxxrtl: the golden words, and no assertion about a memory's bounds."""

import subprocess
from pathlib import Path

import pytest

from fregen import tools
from fregen.design.document import Design
from fregen.emit.emitted import emit
from fregen.emit.yosys import run_yosys
from fregen.golden import NetworkModel
from fregen.hdl.beat import Sizes
from fregen.hdl.samples import sample_layout
from fregen.plan import Schedule, pack_weights
from fregen.runs.prepare import random_samples
from fregen.runs.scenario import Scenario
from fregen.spec.network import NetworkSpec

pytestmark = [pytest.mark.rtl, pytest.mark.tool]

SMALL = {
    "name": "little",
    "network": {"layers": [5, 3, 3, 3]},
    "numerics": {"activation": {"segments": 4}},
    "learning": {"free_steps": 2, "nudged_steps": 2, "batch": 2},
    "hardware": {"lanes": 2},
}
"""No depth of a memory but the input's is a power of two."""


def words_of_a_run(spec, samples):
    """Numbers for cxxrtl.cc: learns a batch and a sample that closes one, infers the others."""
    model = NetworkModel(spec)
    model.initial()
    schedule = Schedule.of(spec)
    before = pack_weights(schedule.memory, model.weights)
    inputs, labels = random_samples(spec, samples)
    scenario = Scenario(spec, model.weights)
    scenario.learn(inputs[:3], labels[:3], 0.125)
    scenario.infer(inputs[3:], labels[3:])
    after, trace = scenario.trace()
    layout = sample_layout(Sizes(schedule))
    payloads = [
        layout.const({"words": [int(word)], "label": int(label), "learn": number < 3, "close": number == 2})
        for number, (row, label) in enumerate(zip(inputs, labels, strict=True))
        for word in row
    ]
    mask = (1 << spec.weight.width) - 1
    loaded, wanted = (
        [int(word) & mask for word in image.flat] for image in (before, pack_weights(schedule.memory, after.weights))
    )
    predictions = [int(label) for label in scenario.expected(trace)["predictions"]]
    counts = [len(loaded), len(payloads), len(predictions), 3]
    return [*counts, *loaded, *(payload.as_value().value for payload in payloads), *predictions, *wanted]


def test_cxxrtl_gives_the_golden_words_and_no_read_is_out_of_bounds(tmp_path):
    design = Design.parse(SMALL)
    spec = NetworkSpec(design)
    (tmp_path / "core.v").write_text(emit(design).verilog)
    (tmp_path / "main.cc").write_text((Path(__file__).parent / "cxxrtl.cc").read_text())
    run_yosys(["read_verilog core.v", "hierarchy -top little", "write_cxxrtl core.cc"], tmp_path)
    include = tools.find_yosys().program / "share" / "include" / "backends" / "cxxrtl" / "runtime"
    command = [str(tools.find_compiler().program), "-std=c++17", "-O0", "-w", f"-I{include}", "-o", "run", "main.cc"]
    subprocess.run(command, cwd=tmp_path, check=True)

    def run(words, *arguments):
        (tmp_path / "words.txt").write_text("\n".join(map(str, words)))
        done = subprocess.run([str(tmp_path / "run"), *arguments], cwd=tmp_path, capture_output=True, text=True)
        return done.stdout + done.stderr

    words = words_of_a_run(spec, 6)
    for arguments in ((), ("reset",)):
        assert run(words, *arguments) == f"6 predictions, 0 differ; {words[0]} weights, 0 differ\n"
    words[-1] ^= 1
    assert f"{words[0]} weights, 1 differ" in run(words)
