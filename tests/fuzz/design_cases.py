"""Design files as they should not be: spoilt copies of sound ones, and tables drawn key by key from the schema."""

import random
import re
from pathlib import Path
from typing import get_args

from pydantic import BaseModel

from fregen.design.document import ConnectionScale, Design, RateStep

ROOT = Path(__file__).parents[2]
SOUND = [path.read_bytes() for folder in ("rtl/*/design.toml", "examples/*.toml") for path in sorted(ROOT.glob(folder))]

_VALUES = """
-1 0 1 2 3 16 64 65 255 256 4096 4097 2147483647 2147483648 1_000 +7 -9223372036854775809 0x7fffffffffffffff 0b1010
1e400 -1e400 nan inf -0.0 0.5 1e-320 0.03125 3.0517578125e-05 true false [] {} [[]] [0] [[0,1],[1,0]] {a=1} [1,[2,[3]]]
'' 'tanh' 'q3.13' 'q1.15' 'q0.4' 'q1.3' 'q24.0' 'q999.999' 'idx' 'npz' 'random' 'adjacency' 'residual' 'asymmetric'
'states' 'module' '\u202e' "\\u0000" 1979-05-27 07:32:00 1979-05-27T07:32:00Z
"""
ODD = _VALUES.split()
NOISE = (*"[]{}=,.\"'#\n\r\\\0\ufeff\u202e", "é", "😀", "[[", '"""')
TOKEN = re.compile(rb"[\w.+-]+|\s+|.", re.DOTALL)


def case(draw: random.Random) -> bytes:
    """Draw a design file."""
    if draw.random() < 0.4:
        content = drawn(draw).encode()
        changes = draw.choice((0, 0, 1))
    else:
        content = draw.choice(SOUND)
        changes = draw.randint(1, 4)
    for _ in range(changes):
        content = draw.choice(CHANGES)(draw, content)
    return content


# Spoiling -----------------------------------------------------------------------------------------------------------


def _byte(draw, content):
    at = draw.randrange(len(content) + 1)
    return content[:at] + bytes([draw.randrange(256)]) + content[at + draw.randrange(2) :]


def _cut(draw, content):
    begin, end = sorted(draw.randrange(len(content) + 1) for _ in range(2))
    return content[:begin] if draw.random() < 0.3 else content[:begin] + content[end:]


def _repeat(draw, content):
    begin, end = sorted(draw.randrange(len(content) + 1) for _ in range(2))
    times = draw.choice((2, 2, 3, 50))
    return content[:begin] + content[begin:end] * times + content[end:]


def _noise(draw, content):
    at, times = draw.randrange(len(content) + 1), draw.choice((1, 1, 2, 40, 1000, 30_000))
    return content[:at] + (draw.choice(NOISE) * times).encode() + content[at:]


def _swap(draw, content):
    tokens = TOKEN.findall(content)
    if len(tokens) > 1:
        a, b = draw.randrange(len(tokens)), draw.randrange(len(tokens))
        tokens[a], tokens[b] = tokens[b], tokens[a]
    return b"".join(tokens)


def _value(draw, content):
    """Another value in place of one: of another type, beyond a limit, or huge."""
    places = list(re.finditer(rb"=\s*([^\n#]*)", content))
    if not places:
        return content
    place = draw.choice(places)
    return content[: place.start(1)] + value(draw).encode() + content[place.end(1) :]


def _key(draw, content):
    lines = content.split(b"\n")
    lines.insert(draw.randrange(len(lines) + 1), f"{draw.choice(KEYS)} = {value(draw)}".encode())
    return b"\n".join(lines)


def _mark(draw, content):
    return draw.choice((b"\xef\xbb\xbf", b"\xff\xfe", b"\0")) + content


CHANGES = (_byte, _byte, _cut, _repeat, _noise, _swap, _value, _value, _value, _key, _key, _mark)


def value(draw: random.Random) -> str:
    """Draw a value: mostly one that means something somewhere, now and then one that is huge."""
    if draw.random() < 0.9:
        return draw.choice(ODD)
    times = draw.choice((100, 5000, 20_000))
    return draw.choice(
        (
            "9" * times,
            f"0x{'f' * times}",
            f"0.{'1' * times}",
            f"'{'x' * times}'",
            f"[{'1,' * times}]",
            f"[{'[],' * times}]",
            "[" * times + "]" * times,
            "{a=" * times + "1" + "}" * times,
            f"[{'{source=1,target=2,scale=0.5},' * (times // 20)}]",
        )
    )


# Drawing ------------------------------------------------------------------------------------------------------------


def _sections() -> dict[str, type[BaseModel] | None]:
    found = {}
    for name, field in Design.model_fields.items():
        kind = field.annotation
        found[name] = kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None
    return found


SECTIONS = _sections()
KEYS = sorted(
    {key for kind in (*filter(None, SECTIONS.values()), RateStep, ConnectionScale) for key in kind.model_fields}
)
KINDS = {("", key): field.annotation for key, field in Design.model_fields.items()}
for _name, _section in SECTIONS.items():
    if _section is not None:
        KINDS |= {(_name, key): field.annotation for key, field in _section.model_fields.items()}
FITTING = {
    "layer_rates": ["[]", "[1, 0.5]", "[0, 0, 1, 1]"],
    "path": ["'x'", "'/'", "''"],
    "seed": ["0", "7"],
    "name": ["'a'", "'net_1'"],
    "layers": ["[4, 3, 2]", "[1, 1, 1]", "[64, 16, 16, 16, 10]", f"[{', '.join(['4'] * 34)}]", "[4096, 4096, 4096]"],
    "state": ["'q1.3'", "'q1.15'", "'q2.22'", "'q4.0'"],
    "weight": ["'q3.13'", "'q1.23'", "'q24.0'"],
    "offset": ["'q3.13'", "'q1.23'", "'q24.0'", "'q1.3'"],
    "error": ["'q1.7'", "'q1.3'", "'q1.12'", "'q1.23'", "'q24.0'"],
    "rounding": ["'nearest'", "'stochastic'"],
    "topology": ["'layered'", "'residual'", "'random'", "'adjacency'"],
    "feedback": ["'symmetric'", "'asymmetric'"],
    "adjacency": ["[[0,1,0],[1,0,1],[0,1,0]]", "[[0]]", "[[0,1],[0,0]]"],
    "scales": ["[{source=1,target=2,scale=0.5}]", "[{source=2,target=1,scale=0.3}]", "[{source=3,target=1,scale=1}]"],
    "activation": [
        "{function='tanh',segments=4096,range=8}",
        "{function='hard-tanh',segments=1}",
        "{segments=1,range=1}",
    ],
    "rate_steps": ["[{epoch=3,rate=0.5}]", "[{epoch=3,rate=0.5},{epoch=2,rate=0.25}]"],
    "nudged": ["'states'", "'offset'"],
    "order": ["'sweep'", "'synchronous'"],
    "batch": ["1", "64", "4096", "3"],
    "lanes": ["1", "64", "3"],
}


def drawn(draw: random.Random) -> str:
    """Draw a table of a few keys, each with a value that fits more often than not."""
    lines = [f"{key} = {_fitting(draw, '', key)}" for key, kind in SECTIONS.items() if kind is None]
    for name, kind in SECTIONS.items():
        if kind is None or (name != "network" and draw.random() < 0.4):
            continue
        chosen = [key for key in kind.model_fields if draw.random() < (0.05 if key == "adjacency" else 0.3)]
        if name == "network" and "layers" not in chosen:
            chosen.append("layers")
        lines += [f"[{name}]", *(f"{key} = {_fitting(draw, name, key)}" for key in chosen)]
    return "\n".join(lines)


def _fitting(draw: random.Random, section: str, key: str) -> str:
    if draw.random() < 0.03:
        return value(draw)
    kind = str(KINDS[section, key])
    if kind.startswith("typing.Literal"):
        return draw.choice([repr(option) for option in get_args(KINDS[section, key])])
    if key in FITTING:
        return draw.choice(FITTING[key])
    if "bool" in kind:
        return draw.choice(("true", "false"))
    return (
        draw.choice(("0", "1", "2", "3", "8")) if "int" in kind else draw.choice(("0.5", "0.03125", "0.25", "0.3", "1"))
    )
