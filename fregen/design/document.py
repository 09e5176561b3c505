"""The design file: one TOML file that says everything, validated once into frozen objects.

Nothing downstream reads raw dictionaries: :class:`Design` is what Python and the command line share.
Sections: ``[network]``, ``[numerics]``, ``[learning]``, ``[hardware]``, ``[data]``.
"""

import contextlib
import hashlib
import json
import math
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    ValidationError,
    field_validator,
    model_validator,
)

from ..errors import DesignError, FormatError, key_text, quoted
from ..fixed import Q, Rounding
from .layers import KINDS, Convolution, Entry, Image, Section, map_shapes, sizes
from .reserved import reason
from .toml_file import read_toml

__all__ = [
    "FAMILIES",
    "RATE_WIDTH",
    "Activation",
    "ConnectionScale",
    "Convolution",
    "Data",
    "Design",
    "Hardware",
    "Image",
    "Learning",
    "Network",
    "Numerics",
    "RateStep",
    "log2_scale",
]


Family = Literal["portable", "ecp5"]
FAMILIES: tuple[str, ...] = get_args(Family)
"""What ``hardware.family`` may be."""

RATE_WIDTH = 4
"""Bits of k of a scale ``2**-k`` in fixed point, as the core's port ``rate`` has it: from 1 down to ``2**-15``."""


def log2_scale(scale: float) -> int:
    """Return k of a scale ``2**-k``.

    Raises
    ------
    DesignError
        If the scale is not a power of two from 2**-15 to 1.
    """
    mantissa, exponent = math.frexp(scale)
    least = (1 << RATE_WIDTH) - 1
    if mantissa != 0.5 or not 0 <= 1 - exponent <= least:
        raise DesignError(f"in fixed point a scale is a power of two from 2**-{least} to 1, not {scale!r}")
    return 1 - exponent


def _format(text: Any) -> Q:
    if isinstance(text, Q):
        return text
    try:
        return Q.parse(str(text))
    except FormatError as error:
        raise ValueError(str(error)) from None


def _path(text: str) -> str:
    if "\0" in text:
        raise ValueError("a path holds no NUL")
    return text


Strength = Annotated[float, Field(gt=0, le=16)]
"""Any positive scale up to 16; in fixed point a power of two from 2**-15 to 1, which :class:`NetworkSpec` asks for."""

_UNREAD = ("hardware.clock_mhz",)
"""Keys that earlier versions took and nothing read."""

Format = Annotated[Q, BeforeValidator(_format), PlainSerializer(str)]


class ConnectionScale(Section):
    """Another scale than alpha or beta for the connection between two hidden layers."""

    source: int = Field(ge=1)
    """Layer that the connection comes from; the first hidden layer is 1."""
    target: int = Field(ge=1)
    """Layer that it leads to."""
    scale: Strength
    """Its alpha (``source < target``) or beta."""


class Network(Section):
    """Layers and how they are connected (docs/method.md, "Network" and "Topologies")."""

    layers: tuple[Entry, ...] = Field(min_length=3, max_length=34)
    """Neurons of the input, of each hidden layer and of the output; an :class:`Image` and :class:`Convolution` of the
    lowest hidden layers make a network of feature maps (float only)."""
    topology: Literal["layered", "residual", "random", "adjacency"] = "layered"
    """Which hidden layers are connected: neighbours; every ``block``-th from ``start`` on too; any with a
    ``probability`` too (the paper's arbitrary graph); or those that ``adjacency`` names."""
    feedback: Literal["symmetric", "asymmetric"] = "symmetric"
    """Whether feedback reads the forward weights transposed, or fixed random weights of its own."""
    alpha: Strength = 1.0
    """Feedforward scaling of hidden-to-hidden connections."""
    beta: Strength = 2**-5
    """Feedback scaling of hidden-to-hidden connections."""
    scales: tuple[ConnectionScale, ...] = ()
    """Connections with scales of their own."""
    block: int = Field(default=3, ge=2, le=32)
    """Layers that a residual connection spans."""
    biases: bool = False
    """Whether every neuron (every map) has a bias that learns, from zero (float only)."""
    start: int = Field(default=1, ge=1, le=32)
    """Hidden layer where the first residual connection begins."""
    probability: float = Field(default=0.2, ge=0, le=1)
    """Chance that an ordered pair of hidden layers is connected (``random``)."""
    graph_seed: int = Field(default=0, ge=0, lt=2**31)
    """Draws the connections of ``random``."""
    adjacency: tuple[tuple[Literal[0, 1], ...], ...] = ()
    """Row t, column s: whether hidden layer s + 1 leads to hidden layer t + 1 (``adjacency``)."""

    @model_validator(mode="after")
    def _check_maps(self) -> "Network":
        if self.maps() and (self.topology != "layered" or self.feedback != "symmetric"):
            raise ValueError("with convolution topology is 'layered' and feedback 'symmetric'")
        return self

    @model_validator(mode="after")
    def _check(self) -> "Network":
        hidden = len(self.hidden)
        if (self.topology == "adjacency") != bool(self.adjacency):
            raise ValueError("adjacency is needed by topology = 'adjacency', and by no other")
        if self.adjacency:
            if len(self.adjacency) != hidden or any(len(row) != hidden for row in self.adjacency):
                raise ValueError(f"adjacency must have {hidden} rows of {hidden} numbers, as there are hidden layers")
            if any(self.adjacency[i][i] for i in range(hidden)):
                raise ValueError("adjacency must have zeros on its diagonal: no layer is connected with itself")
        if self.topology == "residual" and self.start + self.block > hidden:
            raise ValueError(
                f"no residual connection fits: from layer {self.start} over {self.block} leads to layer "
                f"{self.start + self.block}, and the last hidden layer is {hidden}"
            )
        return self

    @property
    def hidden(self) -> tuple[int, ...]:
        """Neurons of the hidden layers, from the input up."""
        return self.sizes[1:-1]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Neurons of all layers; of feature maps before they are pooled."""
        return sizes(self.layers)

    def maps(self) -> dict[int, tuple[int, int, int]]:
        """Channels, height and width of the layers that are feature maps, by index, before they are pooled."""
        return map_shapes(self.layers)


class Activation(Section):
    """A piecewise-linear activation function; see :class:`fregen.spec.tables.PiecewiseLinear`."""

    function: Literal["tanh", "hard-tanh", "hard-sigmoid"] = "tanh"
    segments: int = Field(default=8, ge=1, le=4096)
    """Straight pieces over ``[0, range)``: a power of two.  Only tanh has more than one."""
    range: Literal[1, 2, 4, 8] = 4
    """Where tanh becomes flat."""

    @model_validator(mode="after")
    def _check(self) -> "Activation":
        if self.segments & (self.segments - 1):
            raise ValueError(f"segments must be a power of two, not {self.segments}")
        return self


class Numerics(Section):
    """Word formats and rounding; see ``docs/numerics.md``."""

    state: Format = Q(1, 15)
    """States of all layers, the input included."""
    weight: Format = Q(3, 13)
    """Weights."""
    offset: Format = Q(3, 13)
    """Offsets d of the ``offset`` form."""
    error: Format = Q(1, 7)
    """Output error."""
    rounding: Rounding = Rounding.NEAREST
    """Rounding of the weight update; all else rounds to nearest even."""
    activation: Activation = Activation()


class RateStep(Section):
    """From an epoch on, learn at another rate."""

    epoch: int = Field(ge=1)
    """First epoch (counted from 0) at this rate."""
    rate: Strength
    """Learning rate; in fixed point a power of two."""


class Learning(Section):
    """Equilibrium Propagation: phases, nudging and the local update (docs/method.md, "Dynamics" and "Learning")."""

    free_steps: int | None = Field(default=None, ge=1, le=255)
    """T: most steps of the free phase; default 2 L + 6."""
    nudged_steps: int | None = Field(default=None, ge=1, le=255)
    """K: most steps of the nudged phase; default 8."""
    nudge: Strength = 0.5
    """Nudging factor (beta_f of the paper)."""
    rate: Strength = 0.125
    """Learning rate for the mean over a batch."""
    rate_steps: tuple[RateStep, ...] = ()
    """Later, other rates, by epoch."""
    gain: bool = True
    """Undo the shrinking of the offsets on their way down, by a power of two a layer."""
    batch: int = Field(default=8, ge=1, le=4096)
    """Samples per update; in fixed point a power of two up to 64."""
    stop: bool = True
    """End a phase once a whole step has changed no word."""
    order: Literal["synchronous", "sweep"] = "sweep"
    """All layers at once from the previous state, or one after the other from the newest."""
    error: Literal["held", "recomputed"] = "held"
    """Whether the nudged phase keeps the error of the free phase."""
    nudged: Literal["states", "offset"] = "offset"
    """Form of the nudged phase: the paper's own, or its offsets as words of their own."""
    epochs: int = Field(default=30, ge=1, le=10000)
    """Passes over the training samples."""
    optimizer: Literal["sgd", "momentum", "adam"] = "sgd"
    """How a direction becomes a step; fixed point has ``sgd``."""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """Part of the last step that the next one keeps (``momentum``)."""
    layer_rates: tuple[Annotated[float, Field(ge=0, le=16)], ...] = ()
    """Factors of the rate, a matrix each, from the input up, 0 for one that stays as it was drawn; none: one rate for
    all (float only)."""
    weight_noise: float = Field(default=0.0, ge=0, le=1)
    """Standard deviation of noise on the weights that a batch reads, relative to each matrix's largest (float only)."""
    state_noise: float = Field(default=0.0, ge=0, le=1)
    """Standard deviation of noise on the states of every step (float only)."""

    @model_validator(mode="after")
    def _check(self) -> "Learning":
        epochs = [step.epoch for step in self.rate_steps]
        if epochs != sorted(set(epochs)):
            raise ValueError(f"rate_steps must have rising epochs, not {quoted(epochs)}")
        return self

    def rate_at(self, epoch: int) -> float:
        """Learning rate of an epoch, counted from 0."""
        rate = self.rate
        for step in self.rate_steps:
            if step.epoch <= epoch:
                rate = step.rate
        return rate


class Hardware(Section):
    """What is generated."""

    lanes: Literal[1, 2, 4, 8, 16, 32, 64] = 16
    """P: multipliers that work at once."""
    samples: Literal[1, 2, 4] = 1
    """G: samples in flight at once, of which one's work fills the others' waits."""
    drain: Literal[1, 2, 4] = 1
    """D: neurons of a layer that leave the lanes in a cycle, each through an activation of its own; at most P."""

    words: Literal[1, 2, 4, 8] = 1
    """W: input words that the sample stream takes in a cycle."""
    family: Family = "portable"
    """Whose memories and multipliers the core is made of: any FPGA's, as synthesis infers them, or those of one family
    with all their registers."""

    @model_validator(mode="after")
    def _check(self) -> "Hardware":
        if self.drain > self.lanes:
            raise ValueError(f"drain is at most the number of lanes: {self.lanes}, not {self.drain}")
        return self


class Data(Section):
    """Where samples come from; see :mod:`fregen.data.datasets`."""

    set: Literal["digits", "idx", "cifar10", "npz"] = "digits"
    """UCI digits of scikit-learn, a folder of IDX files (MNIST), the published CIFAR-10, or one ``.npz``."""
    path: Annotated[str, Field(max_length=4096), AfterValidator(_path)] | None = None
    """Folder or file, relative to the design file; without it MNIST and CIFAR-10 are sought in ``FREGEN_DATA``."""
    split: int = Field(default=0, ge=0, lt=2**31)
    """Seed of the permutation whose last 360 samples are the test set of ``digits``; other sets come divided."""
    train: int | None = Field(default=None, ge=1)
    """Use only the first so many training samples."""
    test: int | None = Field(default=None, ge=1)
    """Use only the first so many test samples."""


class Design(Section):
    """A whole design, as one design file describes it.

    Examples
    --------
    >>> design = Design(name="tiny", network=Network(layers=(4, 3, 2)))
    >>> design.free_steps, design.hardware.lanes
    (8, 16)
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")
    """Name of the generated module and files: letters, digits and underscores; no reserved word of an HDL, and nothing
    that fregen calls its own modules (:mod:`fregen.design.reserved`)."""
    seed: int = Field(default=0, ge=0, lt=2**31)
    """Draws the initial weights, the order of the samples and the dither."""
    network: Network
    numerics: Numerics = Numerics()
    learning: Learning = Learning()
    hardware: Hardware = Hardware()
    data: Data = Data()

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        if (found := reason(name)) is not None:
            raise ValueError(f"{found}: choose another name")
        return name

    @classmethod
    def load(cls, path: str | Path) -> "Design":
        """Read and validate a design file.

        Raises
        ------
        DesignError
            If the file is absent, is no TOML, or a key, type, range or combination is wrong.  The message names
            the key, the value and what is allowed.
        """
        path = Path(path)
        table = read_toml(path)
        if isinstance(data := table.get("data"), dict) and isinstance(given := data.get("path"), str):
            with contextlib.suppress(OSError, ValueError, RuntimeError):  # a path that is none is refused below
                data["path"] = str((path.parent / given).resolve())
        return cls.parse(table, where=str(path))

    @classmethod
    def parse(cls, table: dict[str, Any], where: str = "design") -> "Design":
        """Validate a design given as nested dictionaries; raise DesignError as :meth:`load` does."""
        try:
            return cls.model_validate(table)
        except ValidationError as error:
            raise DesignError("\n".join(f"{where}: {line}" for line in _explain(error))) from None
        except RecursionError:  # a dictionary that holds itself, or lists nested by the thousand
            raise DesignError(f"{where}: expected tables and values, not structures nested without end") from None

    def replace(self, **sections: dict[str, Any] | Any) -> "Design":
        """Return a copy with some keys changed, validated anew: ``design.replace(hardware={"lanes": 4}, seed=1)``."""
        table = self.model_dump()
        for key, value in sections.items():
            table[key] = {**table[key], **value} if isinstance(value, dict) and key in table else value
        return type(self).parse(table)

    @property
    def free_steps(self) -> int:
        """T, the most steps of the free phase."""
        return self.learning.free_steps or 2 * len(self.network.hidden) + 6

    @property
    def nudged_steps(self) -> int:
        """K, the most steps of the nudged phase."""
        return self.learning.nudged_steps or 8

    def table(self) -> dict[str, Any]:
        """Plain nested dictionaries, such as JSON can hold; :meth:`parse` reads them back."""
        table: dict[str, Any] = json.loads(self.model_dump_json())
        return table

    def numerics_hash(self) -> str:
        """Hash of all that a trained weight word depends on for its meaning: network and numerics."""
        table = self.table()
        text = json.dumps({key: table[key] for key in ("network", "numerics")}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


_MOST_FAULTS = 12
"""Faults that a message lists; of the others their number."""


def _explain(error: ValidationError) -> list[str]:
    """One line a fault: the key, what came, and what is allowed; of very many only the first."""
    lines = []
    faults = error.errors(include_url=False, include_context=False)
    inside = {fault["loc"][:end] for fault in faults for end in range(len(fault["loc"]))}
    # pydantic counts entries that are wrong as absent
    faults = [fault for fault in faults if fault["type"] != "too_short" or fault["loc"] not in inside]
    for fault in faults[:_MOST_FAULTS]:
        key = ".".join(key_text(part) for part in fault["loc"] if part not in KINDS) or "(whole file)"
        if fault["type"] == "extra_forbidden":
            known = f"unknown key; {_known(fault['loc'][:-1])}"
            lines.append(f"{key}: {'nothing reads this key yet: leave it out' if key in _UNREAD else known}")
        elif fault["type"] == "missing":
            lines.append(f"{key}: this key is required")
        else:
            message = fault["msg"].removeprefix("Value error, ")
            shown = "" if isinstance(fault["input"], dict) else f" (got {quoted(fault['input'])})"
            lines.append(f"{key}: {message[:1].lower()}{message[1:]}{shown}")
    if len(faults) > _MOST_FAULTS:
        lines.append(f"and {len(faults) - _MOST_FAULTS:,} more faults")
    return lines


def _known(loc: tuple[int | str, ...]) -> str:
    model: Any = Design
    for part in loc:
        if part in KINDS:
            model = KINDS[str(part)]
            continue
        if isinstance(part, int):
            continue
        field = getattr(model, "model_fields", {}).get(part)
        if field is None:
            return "see the commented examples"
        model = field.annotation
    fields = getattr(model, "model_fields", None)
    return "known here: " + ", ".join(fields) if fields else "see the commented examples"
