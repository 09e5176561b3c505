"""Waits: as few cycles as are right.  Each one less gives wrong words; deeper pipelines give the same words later."""

from pathlib import Path

import pytest

from fregen.design.document import Design
from fregen.plan import PIPELINES, Pipeline, Schedule
from fregen.verification.gang import verify_gang

pytestmark = pytest.mark.rtl


def one_less(wait: str, stages: dict[str, int]) -> Pipeline:
    """A pipeline one of whose waits is a cycle too short."""
    right = getattr(Pipeline, wait)
    if isinstance(right, property):
        short: object = property(lambda self: right.fget(self) - 1)
    else:
        short = lambda self, *args: right(self, *args) - 1  # noqa: E731
    kind = type("OneLess", (Pipeline,), {wait: short})
    return kind(**stages)


def design_of(name: str, layers: tuple[int, ...], lanes: int = 2, samples: int = 1, **learning: object) -> Design:
    common = {"free_steps": 4, "nudged_steps": 3, "rate": 0.25, "batch": 2, "stop": False, "order": "sweep"}
    return Design.parse(
        {
            "name": name,
            "network": {"layers": layers},
            "learning": {**common, **learning},
            "hardware": {"lanes": lanes, "samples": samples},
        }
    )


# Small nets, stages other than the usual ones, and the waits that each of them shows.
NETS = {
    "ones": (design_of("ones", (4, 1, 1, 2)), {}, "word step prediction readout update"),
    "stops": (design_of("stops", (4, 1, 2), stop=True), {}, "change"),
    "errors": (design_of("errors", (5, 4, 1), error="recomputed"), {}, "error"),
    "copies": (design_of("copies", (4, 2, 2, 3), order="synchronous"), {"read": 6}, "copy"),
    "copied_early": (design_of("copied_early", (4, 1, 2), order="synchronous"), {"address": 4}, "copy"),
    "stops_early": (design_of("stops_early", (4, 1, 1, 2), order="synchronous", stop=True), {"address": 5}, "copy"),
    "readouts": (
        design_of("readouts", (1, 1, 2), samples=4, free_steps=1, nudged_steps=1, batch=8),
        {},
        "softmax",
    ),
    "differences": (design_of("differences", (1, 2, 3), nudged="states", batch=1), {"read": 6}, "difference"),
}

LAYERS = (5, 7, 4, 3)
DEEP = {
    "usual": Pipeline(),
    "output_registers": Pipeline(read=2),
    "multiplier_registers": Pipeline(multiply=3),
    "list_registers": Pipeline(address=2, steer=2, scan=2),
    "long_scan": Pipeline(address=3, steer=3, scan=5, element=2),
    "late_jumps": Pipeline(jump=2, logit=2, index=2),
    "all_stages": Pipeline(
        address=4, read=2, operand=3, multiply=4, align=2, drain=3, shift=4, round=2, add=3,
        steer=2, scan=4, element=1, spread=1, jump=2, wide=3, result=4, logit=1, index=3,
    ),
    "a_family": PIPELINES["ecp5"],
}  # fmt: skip


def verify(monkeypatch: pytest.MonkeyPatch, where: Path, designs: dict[str, tuple[Design, Pipeline]]):  # type: ignore[no-untyped-def]
    """Verify designs, each with a pipeline of its own; results by the key given."""
    pipelines = {design.name: pipeline for design, pipeline in designs.values()}
    of = Schedule.of
    monkeypatch.setattr(Schedule, "of", lambda spec: of(spec, pipelines[spec.design.name]))
    found = verify_gang([design for design, _ in designs.values()], where)
    return dict(zip(designs, (result for _, result in found), strict=True))


def test_each_wait_less_one_gives_wrong_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The same nets with the waits as they are: no mismatch."""
    designs, short = {}, {}
    for name, (design, stages, waits) in NETS.items():
        designs[name] = design, Pipeline(**stages)
        for wait in waits.split():
            less = design.model_copy(update={"name": f"{name}_less_{wait}"})
            short[less.name] = less, one_less(f"{wait}_wait", stages)
    results = verify(monkeypatch, tmp_path, designs | short)
    for name in NETS:
        assert results[name].compared > 40
        assert results[name].mismatches == 0, (name, results[name].first)
    shown = {name.split("_less_")[1] for name in short}
    assert shown == {name.removesuffix("_wait") for name in dir(Pipeline) if name.endswith("_wait")}
    assert not [name for name in short if results[name].mismatches == 0]


def test_deeper_pipelines_give_the_same_words_in_more_cycles(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As an FPGA family would have them: every depth equals the golden model, and the cycle model to the cycle."""
    designs = {}
    for name, pipeline in DEEP.items():
        # Where words are read before a copy has ended, a step of few lines ends early.
        small = [(1, "states", (3, 1, 2))] if pipeline.address > 2 else []
        for samples, form, layers in ((1, "states", (5, 7, 4, 3)), (4, "offset", (5, 7, 4, 3)), *small):
            order = "sweep" if form == "offset" else "synchronous"
            error = "held" if form == "offset" else "recomputed"
            learning = {"nudged": form, "order": order, "error": error, "stop": True, "batch": 4}
            whole = f"{name}_{form}_{samples}_{layers[1]}"
            designs[whole] = design_of(whole, layers, 2, samples, **learning), pipeline
    for name, result in verify(monkeypatch, tmp_path, designs).items():
        assert result.compared > 100
        assert result.mismatches == 0, (name, result.first)
