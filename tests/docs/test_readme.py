"""What README and the pages print can be typed: the tools accept every command line, and every block of README runs."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from fregen import reproduce
from fregen.commands.cli import cli

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

SHORT = [
    ("rtl/digits", "rtl/tiny"),
    ("build/digits", "build/tiny"),
    ("--samples 64", "--samples 2"),
    ("train rtl/tiny/design.toml", "train rtl/tiny/design.toml --epochs 1"),
]
"""The same commands on the smallest design, of which other tests have built the model."""


def printed(text):
    """Command lines of a page: those of indented blocks, and those between backticks."""
    for line in re.findall(r"^    ([a-z.A-Z_]+[ =].*)$|`([^`\n]+)`", text, re.M):
        command = (line[0] or line[1]).split("  #")[0].strip()
        command = re.sub(r"^([A-Z_]+=\S+ )+", "", command)
        if re.match(r"(fregen|make|python|source|\.venv/bin/\w+) ", command):
            yield command.removeprefix(".venv/bin/")


COMMANDS = [(page.name, command) for page in PAGES for command in printed(page.read_text())]


def test_pages_print_commands():
    assert {page for page, _ in COMMANDS} >= {"README.md", "results.md", "reproduce.md", "verification.md"}
    assert len([command for _, command in COMMANDS if command.startswith("fregen ")]) > 20


@pytest.mark.parametrize(("page", "command"), COMMANDS, ids=[f"{page}: {command}" for page, command in COMMANDS])
def test_printed_command_is_one_that_the_tools_accept(page, command):
    check(command)


def check(command):
    words = shlex.split(command.replace("…", ""))
    program, arguments = words[0], words[1:]
    if program == "make":
        targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M)
        assert set(arguments) <= set(targets)
    elif program == "source":
        assert arguments == [".venv/bin/activate"]
    elif program == "python":
        if arguments[0] == "-m":
            module = ROOT / Path(*arguments[1].split("."))
            assert module.with_suffix(".py").exists() or module.is_dir()
        else:
            assert (ROOT / arguments[0]).exists(), f"{arguments[0]} is not there"
    else:
        # Words in capitals stand for what the reader fills in.
        arguments = ["1" if re.fullmatch(r"N|S|SEED|COUNT", word) else word for word in arguments]
        name = arguments[0]
        assert name in cli.commands or name.startswith("--"), f"fregen has no command {name}"
        if name in cli.commands and is_mention(arguments):
            known = {option for parameter in cli.commands[name].params for option in parameter.opts}
            assert {word for word in arguments if word.startswith("--")} <= known
        elif len(arguments) > 1:
            found = cli.commands[name].make_context(name, arguments[1:])
            if name == "reproduce" and found.params["target"].islower():
                assert reproduce.target(found.params["target"])
            for word in arguments[1:]:
                if word.endswith(".toml") and word.split("/")[0] in ("rtl", "examples"):
                    assert (ROOT / word).exists(), f"{word} is not there"


def is_mention(arguments):
    """Whether only a command and its last option are named, as prose does: ``fregen verify --inject``."""
    return arguments[-1].startswith("--") or (len(arguments) > 1 and arguments[1].startswith("--"))


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ("fregen verify rtl/digits/design.toml --sample 64", click.UsageError),
        ("fregen bench", AssertionError),
        ("fregen generate --memory", AssertionError),
        ("make everything", AssertionError),
        ("fregen show rtl/none/design.toml", AssertionError),
        ("python examples/none.py", AssertionError),
        ("fregen reproduce table9", Exception),
    ],
)
def test_a_command_that_is_not_there_is_seen(command, error):
    with pytest.raises(error):
        check(command)


# Running --------------------------------------------------------------------------------------------------------------


def blocks(section):
    """Indented and Python blocks of a section of README."""
    text = README.split(f"## {section}\n")[1].split("\n## ")[0]
    return re.findall(r"(?:^    .*\n)+", text, re.M), re.findall(r"```python\n(.*?)```", text, re.S)


@pytest.fixture
def checkout(tmp_path):
    """A folder that looks like the top folder of a checkout after ``make demo``, without copying it."""
    for name in ("rtl", "examples"):
        (tmp_path / name).symlink_to(ROOT / name)
    activate = tmp_path / ".venv" / "bin" / "activate"
    activate.parent.mkdir(parents=True)
    activate.write_text("")
    (activate.parent / "fregen").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m fregen "$@"\n')
    (activate.parent / "fregen").chmod(0o755)
    activate.write_text(f'PATH="{activate.parent}:$PATH"\n')
    return tmp_path


def shell(script, folder):
    done = subprocess.run(
        ["bash", "-e"], input=script, cwd=folder, capture_output=True, text=True, timeout=1200, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def test_first_commands_of_the_readme_run(checkout, monkeypatch):
    """The first two as a shell runs them; the others, on the smallest design, in this process."""
    (activate, first, *_), _ = blocks("On the command line")
    lines = first.splitlines(keepends=True)
    assert "ready" in shell(activate + lines[0].replace("doctor", "doctor --json"), checkout)
    short = "".join(lines[1:])
    for old, new in SHORT:
        assert old in short
        short = short.replace(old, new)
    monkeypatch.chdir(checkout)
    out = ""
    for command in printed(short):
        result = CliRunner().invoke(cli, shlex.split(command)[1:])
        assert result.exit_code == 0, result.output
        out += result.stdout
    assert out.count("words compared") == 2
    assert "test accuracy" in out
    assert (checkout / "build" / "tiny" / "manifest.json").exists()
    assert (checkout / "build" / "show" / "residual" / "graph.png").exists()


def test_python_of_the_readme_runs(checkout, monkeypatch, capsys):
    """On the smallest design, unchanged, and for two epochs."""
    _, (program,) = blocks("In Python")
    short = (
        program.replace("rtl/digits", "rtl/tiny").replace("range(10)", "range(2)").replace("samples=64", "samples=2")
    )
    short = re.sub(r"\.replace\(\n.*\n\)", "", short)
    assert short.count("\n") == program.count("\n") - 2
    monkeypatch.chdir(checkout)
    exec(compile(short, "README.md", "exec"), {})
    assert re.search(r"^0\.\d{4}\nTrue \d+ 0$", capsys.readouterr().out, re.M)


def python(program, folder):
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=1200, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.long
def test_blocks_of_the_readme_run_as_printed(checkout):
    (activate, first, *_), _ = blocks("On the command line")
    assert shell(activate + first, checkout).count("words compared") == 2
    _, (program,) = blocks("In Python")
    accuracy, verdict = python(program, checkout).splitlines()
    assert float(accuracy) > 0.9
    assert re.fullmatch(r"True [1-9]\d+ 0", verdict)


@pytest.mark.long
def test_planted_faults_of_the_readme_in_a_short_form(checkout):
    (activate, _, long_ones), _ = blocks("On the command line")
    (line,) = [line for line in long_ones.splitlines() if "--inject 200" in line]
    assert "planted faults" in shell(activate + line.replace("--inject 200", "--inject 20"), checkout)
