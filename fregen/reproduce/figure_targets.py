"""Targets whose result is a figure over scales and phase lengths: figures 2, 4, 5 and 6."""

from collections.abc import Iterator, Sequence
from statistics import fmean

import numpy as np

from ..data.datasets import load
from ..float_model import FloatNetwork
from .plots import accuracy_maps, error_curves, settling_lines, state_evolution
from .runs import Experiment
from .settling import Settling
from .tables import Sheet
from .target import Run, Scale, Target, no_training, paper

__all__ = ["BETAS", "FIG2", "FIG4", "FIG5", "FIG6"]

BETAS = (0.001, 0.01, 0.1, 0.25, 1.0, 2.0, 4.0)
"""Feedback scalings of figures 5 and 6."""

_SEEDS = {"quick": 1, "full": 5}

# Figure 2 -----------------------------------------------------------------------------------------------------------

_SHOWN = 12


def _evolution(scale: Scale, runs: Sequence[Run]) -> Sheet:
    """Follow the states of 2 x 64 hidden neurons, initial weights, over 50 free steps, for a test image.

    ``change`` is ``||s[t] - s[t-1]||_2`` over all hidden states, mean over 1 (quick) or 100 (full) images.
    """
    images = 1 if scale == "quick" else 100
    rows: list[tuple[float | str, ...]] = []
    for beta in (0.01, 0.25, 1.0, 4.0):
        design = paper((64, 64), "quick", 0, {"beta": beta}, {"free_steps": 50})
        network, inputs = FloatNetwork(design), load(design).test_inputs[:images].astype(np.float64)
        last = np.zeros((images, 128))

        def observe(step: int, states: Sequence[np.ndarray], beta: float = beta) -> None:
            nonlocal last
            now = np.concatenate(states[1:-1], axis=1)
            change = float(np.linalg.norm(now - last, axis=1).mean())
            rows.append((beta, step, change, *(float(s) for s in now[0, :_SHOWN])))
            last = now

        network.relax.free(network.weights, inputs, observe)
    return Sheet(("beta", "step", "change", *(f"s1[{i}]" for i in range(_SHOWN))), rows)


FIG2 = Target(
    "fig2",
    "Figure 2: evolution of states against β, 2 hidden layers of 64, initial weights",
    no_training,
    state_evolution,
    measure=_evolution,
)

# Figure 4 -----------------------------------------------------------------------------------------------------------


def _maps(scale: Scale) -> Iterator[Experiment]:
    epochs = 2 if scale == "quick" else 50
    for count in (2, 3, 5):
        for alpha in (0.1, 0.25, 0.5, 1.0):
            for beta in (0.01, 0.1, 0.25, 0.5, 1.0):
                for seed in range(_SEEDS[scale]):
                    design = paper((64,) * count, scale, seed, {"alpha": alpha, "beta": beta})
                    if scale == "quick":
                        design = design.replace(data={"train": 3000, "test": 1000})
                    yield Experiment(f"{count} layers, α = {alpha:g}, β = {beta:g}", design, "float", epochs)


FIG4 = Target("fig4", "Figure 4: accuracy over α and β, 64 a layer, T = 10 L, K = 5 L", _maps, accuracy_maps)

# Figure 5 -----------------------------------------------------------------------------------------------------------


def _settling(scale: Scale) -> Iterator[Experiment]:
    """Yield trainings of 3 hidden layers, symmetric and not, measured before and after."""
    epochs, how = (3, Settling(100, 20, 500)) if scale == "quick" else (50, Settling(500, 20, 500))
    for feedback in ("symmetric", "asymmetric"):
        for beta in BETAS:
            for seed in range(_SEEDS[scale]):
                design = paper((64,) * 3, scale, seed, {"beta": beta, "feedback": feedback})
                yield Experiment(f"{feedback}, β = {beta:g}", design, "float", epochs, how)


def _settling_sheet(scale: Scale, runs: Sequence[Run]) -> Sheet:
    """Gather by label what was measured, mean over seeds; times over the seeds with a sample that settles."""
    rows: list[tuple[float | str, ...]] = []
    for label in dict.fromkeys(experiment.label for experiment, _ in runs):
        part = [(e, o) for e, o in runs if e.label == label]
        network = part[0][0].design.network
        error = 100 - 100 * fmean(outcome.best for _, outcome in part)
        for when in ("before", "after"):
            found = [outcome.settling[when] for _, outcome in part]
            times = [one["time"] for one in found if one["settled"]]
            rows.append(
                (
                    network.feedback,
                    network.beta,
                    when,
                    error,
                    fmean(one["radius"] for one in found),
                    fmean(one["ftmle"] for one in found),
                    100 * fmean(one["settled"] for one in found),
                    fmean(times) if times else "",
                )
            )
    columns = ("feedback", "beta", "training", "error %", "SR", "FTMLE", "settled %", "steps to settle")
    return Sheet(columns, rows)


FIG5 = Target(
    "fig5",
    "Figure 5: error and settling against β, 3 hidden layers of 64, T = 30, K = 15",
    _settling,
    settling_lines,
    measure=_settling_sheet,
)

# Figure 6 -----------------------------------------------------------------------------------------------------------


def _phases(scale: Scale) -> Iterator[Experiment]:
    """Yield trainings of 2 hidden layers for all T and β; K = T / 2."""
    epochs = 3 if scale == "quick" else 50
    for steps in (10, 20, 50, 100):
        for beta in BETAS:
            for seed in range(_SEEDS[scale]):
                phases = {"free_steps": steps, "nudged_steps": steps // 2}
                design = paper((64,) * 2, scale, seed, {"beta": beta}, phases)
                if scale == "quick":
                    design = design.replace(data={"train": 3000, "test": 1000})
                yield Experiment(f"T = {steps}, β = {beta:g}", design, "float", epochs)


FIG6 = Target("fig6", "Figure 6: error curves for T and β, 2 hidden layers of 64, K = T / 2", _phases, error_curves)
