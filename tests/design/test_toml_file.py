"""A design file may hold any bytes: what is no design is one short message, in a moment."""

import pytest

from fregen.design.document import Design
from fregen.design.toml_file import MOST_BYTES
from fregen.errors import DesignError

pytestmark = pytest.mark.unit

TINY = 'name = "a"\n[network]\nlayers = [4, 3, 2]\n'
ROOM = MOST_BYTES - 200


@pytest.fixture
def load(tmp_path):
    def load(content):
        path = tmp_path / "design.toml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return Design.load(path)

    return load


@pytest.fixture
def message(load):
    def message(content):
        with pytest.raises(DesignError) as caught:
            load(content)
        return str(caught.value)

    return message


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "byte-order mark"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_what_editors_write_is_read(load, mark, newline):
    assert load(mark + TINY.replace("\n", newline).encode()).network.sizes == (4, 3, 2)


@pytest.mark.parametrize(
    "text",
    ['path = "a[b].c.d=e#f"', "path = 'a\"[[[['  # ]] ...... [", 'path = """\na.\\"[[\n"""', "path = '''[[[[\n\"'''"],
)
def test_brackets_dots_and_marks_in_strings_and_comments_do_not_count(load, text):
    repeated = "\n".join(f"# {'[.' * 100}" for _ in range(3))
    assert load(f"{TINY}{repeated}\n[data]\nset = 'npz'\n{text}\n").data.path


CASES = {
    "integer of 5,000 digits": (
        f"seed = {'9' * 5000}\n{TINY}",
        "holds a number that no key can take: Exceeds",
    ),
    "hexadecimal integer": (f"seed = 0x{'f' * 5000}\n{TINY}", "got <an integer of 20,000 bits>"),
    "arrays 900 deep": (f"{TINY}x = {'[' * 900}{']' * 900}", "line 4: brackets are nested more than 32 deep"),
    "tables 900 deep": (f"{TINY}x = {'{a=' * 900}1{'}' * 900}", "line 4: brackets are nested more than 32 deep"),
    "key of 1,000 parts": (f"{TINY}{'a.' * 1000}a = 1", "line 4: a key has more than 32 parts"),
    "header of 1,000 parts": (f"[{'a.' * 1000}a]\n", "line 1: a key has more than 32 parts"),
    "path with a NUL": (f'{TINY}[data]\npath = "a\\u0000b"', r"data.path: a path holds no NUL (got 'a\x00b')"),
    "path of 9,000 characters": (f"{TINY}[data]\npath = '{'a' * 9000}'", "data.path: string should have at most 4096"),
    "10 MB": (f"{TINY}x = [{'1,' * 5_000_000}]", "expected a design file, at most 128 KiB; this file is longer"),
    "UTF-16": (TINY.encode("utf-16"), "cannot be read as text: 'utf-8' codec can't decode"),
    "empty": ("", "name: this key is required"),
    "no number": (f"{TINY}[learning]\nrate = nan", "learning.rate: input should be less than or equal to 16 (got nan)"),
    "a date": (f"{TINY}[learning]\nrate = 1979-05-27", "learning.rate: input should be a valid number"),
    "escapes for the terminal": (f'{TINY}"\\u001b[31m" = 1', r"network.'\x1b[31m': unknown key"),
}


@pytest.mark.parametrize("case", CASES)
def test_hostile_text_is_one_short_message(message, case):
    content, expected = CASES[case]
    text = message(content)
    assert expected in text
    assert len(text) < 1000
    assert "\x1b" not in text


SLOW = {
    "unknown keys": TINY + "".join(f"x{k} = 1\n" for k in range(ROOM // 12)),
    "entries of a wrong type": TINY + f"[learning]\nlayer_rates = [{'[],' * (ROOM // 3)}]",
    "many layers": f'name = "a"\n[network]\nlayers = [{"1," * (ROOM // 2)}]',
    "many arrays": TINY + f"adjacency = [{'[2],' * (ROOM // 4)}]",
    "a long string": TINY + f"topology = '{'x' * ROOM}'",
    "a string without end": TINY + "x = '" + '\\"' * (ROOM // 2),
    "quoted keys": TINY + '"a b".' * (ROOM // 6),
    "a deep header over many keys": f"[{'a.' * 31}a]\n" + "".join(f"x{k}=1\n" for k in range(ROOM // 9)),
}


@pytest.mark.parametrize("case", SLOW)
def test_the_longest_files_take_a_moment_and_a_screen(message, case):
    """Half a second; a loop over pairs of keys or characters, as there were, takes minutes."""
    assert len(message(SLOW[case])) < 4000


def test_many_faults_are_counted(message):
    lines = message(TINY + "".join(f"x{k} = 1\n" for k in range(5000))).splitlines()
    assert len(lines) == 13
    assert lines[0].endswith("biases, start, probability, graph_seed, adjacency")
    assert lines[-1].endswith("and 4,988 more faults")


def test_the_longest_sensible_file_is_read(load):
    """Every connection of 32 hidden layers with a scale of its own, one table each."""
    pairs = [(s, t) for s in range(1, 33) for t in range(1, 33) if s != t]
    rows = "".join(f"[[network.scales]]\nsource = {s}\ntarget = {t}\nscale = 0.03125\n" for s, t in pairs)
    layers = ", ".join(["64"] * 34)
    text = f'name = "a"\n[network]\nlayers = [{layers}]\ntopology = "random"\nprobability = 1.0\n{rows}'
    assert len(load(text).network.scales) == 32 * 31


def test_a_table_that_holds_itself_is_refused():
    table = {"name": "a", "network": {"layers": [4, 3, 2]}}
    table["learning"] = table
    with pytest.raises(DesignError):
        Design.parse(table)
