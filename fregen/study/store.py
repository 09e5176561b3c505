"""Where trainings are kept: one SQLite file, a row a training and a row an epoch, written when a training ends.

What is there under its digest is not computed again.  Two files of this kind merge by ``insert or ignore`` of their
tables, for equal digests mean equal rows.
"""

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from ..design.document import Design
from ..errors import DataError, OutputError, one_line
from .trained import Epoch, Trained

__all__ = ["Store"]

_TABLES = """
create table if not exists training (
    digest text primary key, design text not null, engine text not null, epochs integer not null, words text not null,
    seconds real not null);
create table if not exists epoch (
    digest text not null, epoch integer not null, test real not null, train real not null, free_steps real not null,
    nudged_steps real not null, weight_saturations integer not null, offset_saturations integer not null,
    primary key (digest, epoch)) without rowid;
"""


class Store:
    """The trainings of a folder.

    Parameters
    ----------
    path : Path
        File; made if it is not there.

    Raises
    ------
    DataError
        If the file is there and is no store.
    OutputError
        If it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._errors():
            self._connection = sqlite3.connect(path)
        with self._errors():
            self._connection.executescript(_TABLES)
            self._connection.execute("select digest, design, engine, epochs, words, seconds from training limit 1")

    @contextlib.contextmanager
    def closing(self) -> Iterator["Store"]:
        """Close the file when the block ends."""
        try:
            yield self
        finally:
            self._connection.close()

    def done(self) -> dict[str, int]:
        """Return the epochs of every training that is there, by its digest."""
        with self._errors():
            return dict(self._connection.execute("select digest, epochs from training"))

    def add(self, digest: str, design: Design, trained: Trained) -> None:
        """Keep a training, all of it or nothing."""
        table = json.dumps(design.table(), sort_keys=True)
        how = (digest, table, trained.engine, len(trained.epochs), trained.words, trained.seconds)
        rows = [(digest, number, *vars(epoch).values()) for number, epoch in enumerate(trained.epochs)]
        with self._errors(), self._connection:
            self._connection.execute("insert or replace into training values (?, ?, ?, ?, ?, ?)", how)
            self._connection.executemany("insert or replace into epoch values (?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def get(self, digest: str) -> Trained:
        """Return a training that is there.

        Raises
        ------
        DataError
            If it is not, or not whole.
        """
        with self._errors():
            found = self._connection.execute(
                "select engine, words, seconds, epochs from training where digest = ?", (digest,)
            ).fetchone()
            rows = self._connection.execute(
                "select epoch, test, train, free_steps, nudged_steps, weight_saturations, offset_saturations "
                "from epoch where digest = ? order by epoch",
                (digest,),
            ).fetchall()
        if found is None or [row[0] for row in rows] != list(range(found[3])):
            raise DataError(f"{self._path}: the training {digest} is not whole; remove the file")
        engine, words, seconds, _ = found
        return Trained(engine, tuple(Epoch(*row[1:]) for row in rows), words, seconds)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn what SQLite raises into errors that say what to do."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise OutputError(f"{self._path}: cannot be written: {one_line(error)}") from None
        except sqlite3.DatabaseError as error:
            raise DataError(f"{self._path}: no store of trainings ({one_line(error)}); remove it") from None
