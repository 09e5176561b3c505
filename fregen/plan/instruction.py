"""The sequencer's instruction: one product of one tile, one update of one matrix, or one move between planes.

The fields here are the one definition of the instruction word; :mod:`fregen.hdl.sequencer` lays them out in bits.
"""

from dataclasses import dataclass
from enum import IntEnum

__all__ = ["Drain", "Feed", "Instruction", "Op", "Plane", "Start", "Store"]


class Op(IntEnum):
    """What an instruction does."""

    PRODUCT = 0
    """Add one product to the sums of one tile (P neurons)."""
    UPDATE = 1
    """Learn one matrix from all samples of the batch."""
    COPY = 2
    """Move all hidden vectors from one plane to another."""
    DIFFERENCE = 3
    """Contrast of the ``states`` form: scratch plane minus slot plane, into the offset memory."""


class Feed(IntEnum):
    """How a product's operand reaches the lanes."""

    BROADCAST = 0
    """One word a cycle to all lanes: stored rows are the target's neurons."""
    RING = 1
    """Each lane its own word, sums wander: stored rows are the source's neurons."""
    INPUT = 2
    """As broadcast, but only the nonzero words of the input sample."""
    NOTHING = 3
    """One cycle that adds zero."""


class Store(IntEnum):
    """The two vector memories."""

    STATES = 0
    """States of the hidden layers."""
    OFFSETS = 1
    """Offsets or contrasts of hidden layers, and output errors."""


class Plane(IntEnum):
    """Which plane of a vector memory."""

    SLOT = 0
    """That of the current sample."""
    SCRATCH = 1
    """What only the nudged phase keeps: its states in the ``states`` form, and a recomputed error."""
    NEXT = 2
    """What a synchronous step writes, until a COPY moves it to where it is read."""


class Start(IntEnum):
    """What a tile's sum starts from."""

    KEEP = 0
    """The sum as it stands: a further product of the same tile."""
    CLEAR = 1
    """Zero."""
    LOAD = 2
    """The stored static part (drive)."""


class Drain(IntEnum):
    """Where a finished tile goes."""

    NONE = 0
    """Nowhere: the tile is not finished."""
    STATE = 1
    """Through the activation, into the state memory."""
    OFFSET = 2
    """Times the slope, into the offset memory."""
    SOFTMAX = 3
    """To the softmax unit: logits."""


@dataclass(frozen=True)
class Instruction:
    """One step of the schedule.

    Parameters
    ----------
    op, feed, store, plane, start, drain : enumerations
        See there.  For UPDATE, ``store`` and ``feed`` say where the stored *columns'* words are; rows are in the other
        memory.
    vector : int
        Local address of the operand (UPDATE: of the columns' words).
    rows : int
        Local address of the rows' words (UPDATE).
    weight : int
        First weight address.
    stride : int
        Weight addresses between row groups (RING, UPDATE).
    count : int
        Words broadcast, columns of an UPDATE, groups of a COPY or DIFFERENCE.
    groups : int
        Row groups (RING, UPDATE).
    last_rows, last_columns : int
        Lanes that hold a real row in the last row group, real columns of a RING tile.
    shift : int
        Left shift of the product, bits.
    sigma : int
        Right shift of an UPDATE at rate 1, bits.
    column : int
        Dither id of the first column (UPDATE).
    save : bool
        Keep the sum after this product as the tile's drive.
    drive : int
        Address of the tile's drive.
    drain_count, drain_cycles : int
        Neurons of the tile; cycles in which they leave the lanes.
    target_plane, target : Plane, int
        Where results go (DRAIN, COPY).
    neuron : int
        Where the activations keep words of the tile's first neurons (SOFTMAX: number of its first class).
    first : bool
        First step of a phase that starts from zero.
    wants_error : bool
        Last tile of logits: with its last one the softmax unit shall begin to write the error.
    sync : bool
        Begin only when all earlier results of the same sample are written.
    wait : int
        Cycles from the last beat until its results are written.
    end : bool
        Last of its program.
    """

    op: Op
    feed: Feed = Feed.NOTHING
    store: Store = Store.STATES
    plane: Plane = Plane.SLOT
    vector: int = 0
    rows: int = 0
    weight: int = 0
    stride: int = 0
    count: int = 1
    groups: int = 1
    last_rows: int = 1
    last_columns: int = 1
    shift: int = 0
    sigma: int = 0
    column: int = 0
    start: Start = Start.KEEP
    save: bool = False
    drive: int = 0
    drain: Drain = Drain.NONE
    drain_count: int = 1
    drain_cycles: int = 1
    target_plane: Plane = Plane.SLOT
    target: int = 0
    neuron: int = 0
    first: bool = False
    wants_error: bool = False
    sync: bool = False
    wait: int = 0
    end: bool = False
