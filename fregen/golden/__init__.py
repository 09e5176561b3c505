"""The golden model: what every word of the hardware must be, in numpy integers."""

from .carrier import Carrier
from .dither import DitherModel
from .network import EpochResult, LearnResult, NetworkModel, initial_weights
from .neuron import ActivationModel, OffsetModel
from .relax import RelaxModel
from .softmax import SoftmaxModel
from .trace import Trace
from .update import UpdateModel

__all__ = [
    "ActivationModel",
    "Carrier",
    "DitherModel",
    "EpochResult",
    "LearnResult",
    "NetworkModel",
    "OffsetModel",
    "RelaxModel",
    "SoftmaxModel",
    "Trace",
    "UpdateModel",
    "initial_weights",
]
