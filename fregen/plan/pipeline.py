"""The depth of the hardware's pipeline: stages, latencies of units, and the waits that follow, all cycles.

A *beat* is one cycle in which the sequencer issues work; stage k of a beat is k cycles later.  A beat's work goes
through the stages address, read, operand, multiply, align, sum; finished sums drain to the neuron or the softmax unit,
whose words are written back, and the sums of an update go through shift, round and add into the weight memory.

Everything that depends on depth follows from one :class:`Pipeline`: the stages at which array and lanes listen, the
latencies of the units, the waits of the schedule, and the cycle model.
"""

from dataclasses import dataclass, fields

from ..errors import LoweringError

__all__ = ["ECP5", "PIPELINES", "PORTABLE", "Pipeline"]


@dataclass(frozen=True)
class Pipeline:
    """Cycles of every stage; the defaults suit any FPGA.

    Parameters
    ----------
    address : int
        From a beat until its addresses are at the memories.
    read : int
        From an address to the word, for weights, vectors, samples, drives and tables: 2 for memories with an output
        register.
    operand : int
        From the memories' words to the operands of the lanes' multipliers.
    multiply : int
        From operands to product, in the lanes.
    align : int
        From the product to its place in the sum.
    drain : int
        From a finished sum until it leaves the array.
    shift, round, add : int
        Stages of the weight updater.
    steer : int
        From an index to what the lists and masks of nonzero words say of it.
    scan : int
        From asking for a column of an update until its samples are known and counted; at least ``steer``.
    element : int
        Registers between the walk of an update and its beats; may be 0.
    spread : int
        Registers of the lanes' own for what all of them are told: 0, or 1 for a short way to each.
    jump : int
        From a program's end until its successor is looked up.
    wide : int
        From operands to product, in neuron and softmax unit.
    result : int
        From that product to the word: sum or choice, rounding, limits; at least 3.
    compare : int
        Registers between a word and what says that it differs from the neuron's word before; may be 0.
    write : int
        Registers before the vector memories, of words that units give; may be 0.
    logit : int
        Registers before the softmax unit; may be 0.
    index : int
        From a logit's distance to its place in the table of exponentials.

    Raises
    ------
    LoweringError
        If a stage has no cycle.

    Notes
    -----
    The sum itself takes one cycle: a beat adds to what the beat before has left.
    """

    address: int = 1
    read: int = 1
    operand: int = 1
    multiply: int = 1
    align: int = 1
    drain: int = 1
    shift: int = 1
    round: int = 1
    add: int = 1
    steer: int = 1
    scan: int = 1
    element: int = 0
    spread: int = 0
    jump: int = 1
    wide: int = 1
    result: int = 3
    compare: int = 0
    write: int = 0
    logit: int = 0
    index: int = 1

    def __post_init__(self) -> None:
        least = {"element": 0, "spread": 0, "compare": 0, "write": 0, "logit": 0, "result": 3}
        least |= {"operand": 1 + self.spread, "scan": self.steer, "address": self.steer}
        for field in fields(self):
            if (cycles := getattr(self, field.name)) < (minimum := least.get(field.name, 1)):
                least_cycles = "1 cycle" if minimum == 1 else f"{minimum} cycles"
                raise LoweringError(f"pipeline: stage {field.name} takes {least_cycles} or more, not {cycles}")

    @property
    def lead(self) -> int:
        """Registers between a weight's address and the lanes' memories: after its sum, and after a ring's rotation."""
        return min(2, self.address - self.steer)

    @property
    def mixed(self) -> int:
        """Stage in which what all lanes share meets what is a lane's own."""
        return self.answered + self.operand - 1

    # Stages of a beat --------------------------------------------------------------------------------------

    @property
    def answered(self) -> int:
        """Stage in which the memories show a beat's words; moved lines are written in it."""
        return self.address + self.read

    @property
    def product(self) -> int:
        """Stage in which the product is there."""
        return self.answered + self.operand + self.multiply

    @property
    def aligned(self) -> int:
        """Stage in which the aligned product is added to the sum."""
        return self.product + self.align

    @property
    def drive(self) -> int:
        """Stage in which the address of a stored drive is at its memory."""
        return self.aligned - self.read

    @property
    def total(self) -> int:
        """Stage in which the sum holds the product."""
        return self.aligned + 1

    @property
    def drained(self) -> int:
        """Stage of a tile's last beat in which its first sum leaves the array."""
        return self.total + self.drain

    @property
    def word(self) -> int:
        """Stage of a tile's last beat in which its first neuron's word is written."""
        return self.drained + self.neuron + self.write

    @property
    def dithered(self) -> int:
        """Stage of an update's last beat in which the updater takes the dither."""
        return self.total + self.shift

    @property
    def old_weight(self) -> int:
        """Stage of an update's last beat in which the old weight's address is at its memory."""
        return self.dithered + self.round - self.read

    @property
    def learnt(self) -> int:
        """Stage of an update's last beat in which the new weight is written."""
        return self.total + self.update

    # Latencies of units ------------------------------------------------------------------------------------

    @property
    def neuron(self) -> int:
        """From a sum to its word: magnitude, table, operand, product, interpolation, rounding, limits."""
        return 1 + self.read + 1 + self.wide + self.result

    @property
    def update(self) -> int:
        """From the summed products to the new weight."""
        return self.shift + self.round + self.add

    def errors(self, classes: int) -> int:
        """From the last logit to the first class's error; one more a further class.

        Classes are walked over twice: logit, distance, exponential, sum; and when the sum's reciprocal is found,
        exponential, product, rounding, error.
        """
        exponentials = 1 + self.read + self.index + self.read
        return classes + exponentials + 1 + self.read + self.wide + self.result - 1

    # Waits -------------------------------------------------------------------------------------------------
    #
    # After an instruction whose last beat is in cycle t, one with *sync* is taken in cycle t + wait or later, and its
    # program ends in cycle t + 1 + wait or later.  A tile takes so many ``cycles`` to leave the lanes; of logits one a
    # neuron.

    @property
    def to_beat(self) -> int:
        """From a program's end to the first beat of the next one: jump, load, take, beat."""
        return self.jump + 3

    @property
    def to_update(self) -> int:
        """From the end of a sample's last program to an update's first beat: batch, jump, load, take, scan, beat."""
        return self.to_beat + 1 + self.scan + 2 + self.element

    def _last_error(self, neurons: int, classes: int) -> int:
        """Stage of the last logits' last beat in which the last error is written."""
        return self.drained + neurons - 1 + self.logit + self.errors(classes) + classes - 1 + self.write

    def word_wait(self, cycles: int) -> int:
        """Before an instruction may be taken that reads the words of a tile.

        Its first beat is issued two cycles after it is taken, and reads in the cycle after the last word is written.
        """
        return self.word + cycles - 2 - self.address

    def error_wait(self, neurons: int, classes: int) -> int:
        """Before an instruction may be taken that reads the error of a sample.

        Of the last tile of logits, with so many neurons.
        """
        return self._last_error(neurons, classes) - self.address - 1

    def change_wait(self, cycles: int) -> int:
        """Before a step that stops at a fixed point may end: the last word has been compared with its old one."""
        return max(self.drained + self.neuron + self.compare + cycles - 1, self.step_wait(cycles))

    def step_wait(self, cycles: int) -> int:
        """Before a step of a given number may end: words are written in the phase that they belong to."""
        return self.word + cycles - 2

    def prediction_wait(self, cycles: int) -> int:
        """Before a readout without error may end: the prediction is there in the cycle after the end."""
        return self.drained + cycles - 2 + self.logit

    def errors_left(self, neurons: int, classes: int) -> int:
        """How long after the last logits' last beat another tile's last beat can meet their errors.

        It is a count that falls by 1 a cycle: while it is n, a tile whose last beat is issued now, and which has one
        neuron, would write its word together with the error n - ``neuron`` - 1 before the last one.
        """
        return self._last_error(neurons, classes) - self.drained - self.write

    def softmax_wait(self, neurons: int, classes: int) -> int:
        """Before another sample's last tile of logits may end.

        The last error of this one has left the softmax unit, and none of its errors can meet words of neurons.
        """
        return self.errors_left(neurons, classes) - min(neurons, self.neuron + 1)

    def readout_wait(self, neurons: int, classes: int) -> int:
        """Before a readout with error may end: errors are written in its phase, which lasts one cycle longer."""
        return self._last_error(neurons, classes) - 2

    @property
    def update_wait(self) -> int:
        """Before an update may end: in the cycle of its end the last weight is written."""
        return self.learnt - 1

    def copy_wait(self, count: int, stops: bool) -> int:
        """Before a step that ends with a copy of so many lines may end.

        The next program's first beat reads what was copied.  And the words of the last tile, which the copy did not
        wait for longer than :meth:`word_wait`, have been compared where a fixed point stops the step
        (:meth:`change_wait`), or else are written in their phase (:meth:`step_wait`).
        """
        words = self.change_wait(1) if stops else self.step_wait(1)
        last_beat = self.word_wait(1) + 2 + count - 1
        return max(0, self.read - self.to_beat, words - last_beat)

    @property
    def difference_wait(self) -> int:
        """Before the contrast's program may end: the update's first beat reads it."""
        return max(0, self.read - self.to_update)


PORTABLE = Pipeline()
"""Depth that suits any FPGA: memories without output registers, one register a stage."""

ECP5 = Pipeline(
    address=4,
    read=2,
    operand=3,
    multiply=3,
    align=1,
    shift=3,
    round=2,
    add=3,
    steer=2,
    scan=4,
    element=1,
    spread=1,
    jump=2,
    wide=5,
    result=6,
    compare=1,
    write=1,
    logit=1,
    index=2,
)
"""Depth for Lattice ECP5: every register that its memories and multipliers have."""

PIPELINES = {"portable": PORTABLE, "ecp5": ECP5}
"""By the name that ``hardware.family`` has."""
