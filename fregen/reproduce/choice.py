"""A part of a study, or the study in other numbers of epochs, seeds or bits than its scale's."""

from dataclasses import dataclass, replace

from ..errors import DesignError
from ..training.loop import Precision
from .runs import Experiment
from .target import Scale, Target

__all__ = ["Choice"]


@dataclass(frozen=True)
class Choice:
    """What to run of a study's scale, and how.

    Parameters
    ----------
    only : tuple of str
        Labels of the nets to train; empty: all.
    seeds, epochs : int, optional
        Fewer seeds, another number of epochs than the scale's.
    precision : {"single", "double"}
        Of real-valued models; the paper's reference code computes in single precision.
    tolerance : float, optional
        Where the phases of the model ``float`` end early (:class:`~fregen.float_model.relax.FloatRelax`); by default
        they have all their steps, as in the paper.
    """

    only: tuple[str, ...] = ()
    seeds: int | None = None
    epochs: int | None = None
    precision: Precision = "single"
    tolerance: float | None = None

    def experiments(self, target: Target, scale: Scale) -> list[Experiment]:
        """Return the trainings that are chosen, in the study's order.

        Raises
        ------
        DesignError
            If the study has no net of a label, or fewer seeds.
        """
        offered = list(target.build(scale))
        labels = list(dict.fromkeys(experiment.label for experiment in offered))
        unknown = [label for label in self.only if label not in labels]
        if unknown:
            has = f"it has: {'; '.join(labels)}" if labels else "it trains none"
            raise DesignError(f"{target.name} has no net {unknown[0]!r}; {has}")
        chosen = [e for e in offered if not self.only or e.label in self.only]
        if self.seeds is not None:
            most = 1 + max((e.design.seed for e in chosen), default=0)
            if not 1 <= self.seeds <= most:
                has = "1 seed" if most == 1 else f"1 to {most} seeds"
                raise DesignError(f"{target.name}: expected {has} at the scale {scale!r}, not {self.seeds}")
            chosen = [e for e in chosen if e.design.seed < self.seeds]
        return [self._as_chosen(experiment) for experiment in chosen]

    def _as_chosen(self, experiment: Experiment) -> Experiment:
        if self.epochs is not None:
            experiment = replace(experiment, epochs=self.epochs)
        if experiment.model == "fixed":
            return experiment
        tolerance = self.tolerance if experiment.model == "float" else None
        return replace(experiment, precision=self.precision, tolerance=tolerance)
