"""What the demonstration reports: the table at its end, the evolution of one sample, ``report.html``."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..design.document import Design
from ..emit.render import render
from ..emit.resources import Resource
from ..golden.trace import Trace
from ..plan.cycles import PHASES
from ..spec.network import NetworkSpec
from ..verification.simulate import Result
from ..views.figures import Evolution

__all__ = ["evolution", "headline", "report"]


def evolution(spec: NetworkSpec, trace: Trace) -> Evolution:
    """States and offsets of the learnt sample with the greatest error in the last twentieth of a run."""
    count = len(trace.errors)
    begin = count - max(count // 20, 1)
    batch = max(range(begin, count), key=lambda b: int(np.abs(trace.errors[b]).max()))
    sample = int(np.abs(trace.errors[batch]).max(axis=1).argmax())
    steps, nudged_steps = int(trace.free_steps[batch][sample]), int(trace.nudged_steps[batch][sample])
    states = trace.by_layer("states", trace.states[batch][sample, :steps].astype(float))
    nudged = trace.by_layer("nudged", trace.nudged[batch][sample, :nudged_steps].astype(float))
    hidden = sorted(states)
    state_lsb = 2.0**-spec.state.frac_bits
    nudged_lsb = 2.0**-spec.offset.frac_bits if spec.has_offsets else state_lsb
    zero = {layer: np.zeros((1, words.shape[1])) for layer, words in states.items()}
    before = zero if spec.has_offsets else {layer: states[layer][-1:] for layer in hidden}
    return Evolution(
        [f"layer {layer}" for layer in hidden],
        [np.concatenate([zero[layer], states[layer]]) * state_lsb for layer in hidden],
        [np.concatenate([before[layer], nudged[layer]]) * nudged_lsb for layer in hidden],
        state_lsb,
        nudged_lsb,
        "offset d" if spec.has_offsets else "state s",
    )


def headline(summary: dict[str, Any]) -> list[tuple[str, str]]:
    """Lines of the table that the demonstration ends with."""
    accuracy, epochs, cycles = summary["accuracy"], summary["epochs"], summary["cycles_per_sample"]
    tests, right = summary["test_samples"], summary["right"]
    use = summary["mac_utilisation"]
    return [
        (f"accuracy, float, {_epochs(epochs['float'])}", f"{100 * accuracy['float']:.2f} %"),
        (f"accuracy, fixed point, {_epochs(epochs['fixed'])}", f"{100 * accuracy['fixed']:.2f} %"),
        (
            f"accuracy, RTL, learnt by itself, {_epochs(epochs['rtl'])}",
            f"{100 * accuracy['rtl']:.2f} % ({right['rtl']} of {tests}; golden model {right['golden']})",
        ),
        ("words compared", f"{summary['words_compared']:,}"),
        ("mismatches", f"{summary['mismatches']:,}"),
        ("cycles a sample learnt", f"{cycles['learn']:,.1f}"),
        ("cycles a sample inferred", f"{cycles['infer']:,.1f}"),
        ("cycles predicted by the plan", "equal" if summary["cycles"]["equal_to_plan"] else "NOT EQUAL"),
        (
            "MAC utilisation",
            f"{100 * use['overall']:.1f} % ("
            + ", ".join(f"{phase} {100 * use[phase]:.1f} %" for phase in PHASES)
            + ")",
        ),
    ]


def _epochs(count: int) -> str:
    return f"{count} epoch" if count == 1 else f"{count} epochs"


def report(
    chip: Design, summary: dict[str, Any], figures: dict[str, str], cells: Sequence[Resource], result: Result
) -> str:
    """Everything that ``report.html`` prints, as text: the template computes nothing."""
    phases = [
        {
            "name": row["phase"],
            "learn": f"{row['learn_cycles']:,}",
            "infer": f"{row['infer_cycles']:,}",
            "predicted": f"{row['predicted_cycles']:,}",
            "measured": f"{row['measured_cycles']:,}",
            "macs_predicted": f"{row['predicted_macs']:,}",
            "macs_measured": f"{row['measured_macs']:,}",
            "utilisation": f"{100 * row['mac_utilisation']:.1f} %",
        }
        for row in summary["phases"]
    ]
    sums = {
        key: sum(row[key] for row in summary["phases"])
        for key in summary["phases"][0]
        if key.endswith(("cycles", "macs"))
    }
    waiting = summary["waiting_cycles"]
    kinds = ("learn", "infer", "predicted", "measured")
    phases.append(
        {
            "name": "waiting",
            **{kind: f"{waiting[kind]:,}" for kind in kinds},
            **dict.fromkeys(("macs_predicted", "macs_measured", "utilisation"), ""),
        }
    )
    phases.append(
        {
            "name": "all",
            "learn": f"{sums['learn_cycles'] + waiting['learn']:,}",
            "infer": f"{sums['infer_cycles'] + waiting['infer']:,}",
            "predicted": f"{sums['predicted_cycles'] + waiting['predicted']:,}",
            "measured": f"{sums['measured_cycles'] + waiting['measured']:,}",
            "macs_predicted": f"{sums['predicted_macs']:,}",
            "macs_measured": f"{sums['measured_macs']:,}",
            "utilisation": f"{100 * summary['mac_utilisation']['overall']:.1f} %",
        }
    )
    numerics, learning = chip.numerics, chip.learning
    facts = [
        ("network", "-".join(str(size) for size in chip.network.sizes)),
        (
            "words",
            f"states {numerics.state}, weights {numerics.weight}, offsets {numerics.offset}, error {numerics.error}",
        ),
        (
            "phases",
            f"up to {chip.free_steps} free, {chip.nudged_steps} nudged steps, {learning.order}, {learning.nudged} form",
        ),
        (
            "learning",
            f"batches of {learning.batch}, rate {learning.rate:g}, round {numerics.rounding.value}, seed {chip.seed}",
        ),
        ("hardware", f"{chip.hardware.lanes} lanes (multiplier, accumulator, updater)"),
    ]
    resource_rows = [
        {
            "name": row.name,
            "cells": f"{row.cells:,}",
            "bits": f"{row.bits:,}",
            "widths": ", ".join(f"{count} × {width}" for width, count in _widest(row)),
        }
        for row in cells
    ]
    return render(
        "report.html.j2",
        name=chip.name,
        passed=summary["passed"],
        headline=headline(summary),
        facts=facts,
        figures=figures,
        phases=phases,
        resources=resource_rows,
        lanes=chip.hardware.lanes,
        rtl_epochs=_epochs(summary["epochs"]["rtl"]),
        samples=f"{summary['samples_learnt']:,}",
        tests=f"{summary['test_samples']:,}",
        words=f"{summary['words_compared']:,}",
        mismatches=f"{summary['mismatches']:,}",
        first=result.first,
        learn=f"{summary['cycles_per_sample']['learn']:,.1f}",
        infer=f"{summary['cycles_per_sample']['infer']:,.1f}",
        seconds=[(name, f"{value:.1f} s") for name, value in summary["seconds"].items()],
        speed=f"{summary['rtl_cycles_per_s']:,.0f}" if summary["rtl_cycles_per_s"] else "unknown",
        versions=list(summary["versions"].items()),
    )


def _widest(row: Resource) -> list[tuple[int, int]]:
    """Return the widths that make up most of a row's bits, widest share first."""
    return sorted(row.widths.items(), key=lambda item: -item[0] * item[1])[:4]
