"""The paper in real numbers: the network, its learning, its optimisers, and the baselines to compare with."""

from .activation import FloatActivation
from .baseline import BackpropNetwork
from .feedback_alignment import FeedbackAlignmentNetwork
from .learning import contrastive_directions
from .model import EpochResult, FloatModel, LearnResult
from .network import FloatNetwork
from .optimizers import Adam, Momentum, Optimizer, Sgd, optimizer_of
from .prototypical import PrototypicalNetwork
from .relax import FloatRelax, FreePhase, NudgedPhase
from .representation_alignment import RepresentationAlignmentNetwork

__all__ = [
    "Adam",
    "BackpropNetwork",
    "EpochResult",
    "FeedbackAlignmentNetwork",
    "FloatActivation",
    "FloatModel",
    "FloatNetwork",
    "FloatRelax",
    "FreePhase",
    "LearnResult",
    "Momentum",
    "NudgedPhase",
    "Optimizer",
    "PrototypicalNetwork",
    "RepresentationAlignmentNetwork",
    "Sgd",
    "contrastive_directions",
    "optimizer_of",
]
