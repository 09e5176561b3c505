"""The depth of the hardware's pipeline: stages, latencies of units, and the waits that follow, all cycles.

A *beat* is one cycle in which the sequencer issues work; stage k of a beat is k cycles later.  A beat's work goes
through the stages address, read, operand, multiply, align, sum; finished sums drain to the neuron or the softmax unit,
whose words are written back, and the sums of an update go through shift, round and add into the weight memory.

Everything that depends on depth follows from one :class:`Pipeline`: the stages at which array and lanes listen, the
latencies of the units, the waits of the schedule, and the cycle model.
"""

from dataclasses import dataclass, fields

from ..errors import LoweringError

__all__ = ["PORTABLE", "Pipeline"]


@dataclass(frozen=True)
class Pipeline:
    """Cycles of every stage; the defaults suit any FPGA.

    Parameters
    ----------
    address : int
        From a beat until its addresses are at the memories.
    read : int
        From an address to the word, for weights, vectors, samples, drives and tables: 2 for memories with an output
        register.  The memories that steer (schedule, lists and masks of nonzero words) answer in 1.
    operand : int
        From the memories' words to the operands of the lanes' multipliers.
    multiply : int
        From operands to product, in every multiplier.
    align : int
        From the product to its place in the sum.
    drain : int
        From a finished sum until it leaves the array.
    shift, round, add : int
        Stages of the weight updater.

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

    def __post_init__(self) -> None:
        for field in fields(self):
            if (cycles := getattr(self, field.name)) < 1:
                raise LoweringError(f"pipeline: stage {field.name} takes 1 cycle or more, not {cycles}")

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
        return self.drained + self.neuron

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
        return 1 + self.read + 1 + self.multiply + 3

    @property
    def update(self) -> int:
        """From the summed products to the new weight."""
        return self.shift + self.round + self.add

    def errors(self, classes: int) -> int:
        """From the last logit to the first class's error; one more a further class.

        Classes are walked over twice: logit, distance, exponential, sum; and when the sum's reciprocal is found,
        exponential, product, rounding, error.
        """
        exponentials = 1 + self.read + 1 + self.read
        return classes + exponentials + 1 + self.read + self.multiply + 2

    # Waits -------------------------------------------------------------------------------------------------
    #
    # An instruction whose last beat is in cycle t keeps a *sync*, or the end of its program, from happening before
    # cycle t + 1 + wait.  A tile takes so many ``cycles`` to leave the lanes; of logits one a neuron.

    TO_BEAT = 3
    """From a program's end to the first beat of the next one: jump, load, beat."""
    TO_UPDATE = 5
    """From the end of a sample's last program to the first beat of an update: batch, jump, load, scan, beat."""

    def _last_error(self, neurons: int, classes: int) -> int:
        """Stage of the last logits' last beat in which the last error is written."""
        return self.drained + neurons - 1 + self.errors(classes) + classes - 1

    def word_wait(self, cycles: int) -> int:
        """Before a beat may read the words of a tile: it reads in the cycle after the last one is written."""
        return self.word + cycles - 1 - self.address

    def error_wait(self, neurons: int, classes: int) -> int:
        """Before a beat may read the error of a sample; of the last tile of logits, with so many neurons."""
        return self._last_error(neurons, classes) - self.address

    def change_wait(self, cycles: int) -> int:
        """Before a step that stops at a fixed point may end: the last word has been compared with its old one."""
        return self.word + cycles - 1

    def step_wait(self, cycles: int) -> int:
        """Before a step of a given number may end: words are written in the phase that they belong to."""
        return self.word + cycles - 2

    def prediction_wait(self, cycles: int) -> int:
        """Before a readout without error may end: the prediction is there in the cycle after the end."""
        return self.drained + cycles - 2

    def errors_left(self, neurons: int, classes: int) -> int:
        """How long after the last logits' last beat another tile's last beat can meet their errors.

        It is a count that falls by 1 a cycle: while it is n, a tile whose last beat is issued now, and which has one
        neuron, would write its word together with the error n - ``neuron`` - 1 before the last one.
        """
        return self._last_error(neurons, classes) - self.drained

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

    @property
    def copy_wait(self) -> int:
        """Before a step that ends with a copy may end: the next program's first beat reads what was copied."""
        return max(0, self.read - self.TO_BEAT)

    @property
    def difference_wait(self) -> int:
        """Before the contrast's program may end: the update's first beat reads it."""
        return max(0, self.read - self.TO_UPDATE)


PORTABLE = Pipeline()
"""Depth that suits any FPGA: memories without output registers, one register a stage."""
