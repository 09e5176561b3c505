"""The command line: every error is one message and an exit code; summaries are JSON."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from fregen import __version__, tools
from fregen.commands import cli
from fregen.errors import FregenError, MismatchError, ToolError
from fregen.verification import verify as session

pytestmark = pytest.mark.e2e

TINY = Path(__file__).parents[2] / "rtl" / "tiny" / "design.toml"
COMMANDS = ("demo", "train", "generate", "show", "verify", "reproduce", "doctor", "benchmark")


def run(*arguments, code=0):
    result = CliRunner().invoke(cli.cli, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output + repr(result.exception)
    assert "Traceback" not in result.output
    if code:
        assert result.stderr.splitlines()[-1].startswith("error: ") or "error: " in result.stderr
    return result


@pytest.fixture
def bad_design(tmp_path):
    def write(text):
        path = tmp_path / "bad.toml"
        path.write_text(text)
        return path

    return write


def test_version():
    assert run("--version").stdout.strip() == f"fregen, version {__version__}"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_json(command):
    text = run(command, "--help").stdout
    assert "--json" in text


# Errors -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["train", "generate", "show", "verify"])
def test_absent_design(command, tmp_path):
    out = ["-o", tmp_path / "out"] if command == "generate" else []
    result = run(command, tmp_path / "none.toml", *out, code=3)
    assert result.stderr.strip() == f"error: {tmp_path / 'none.toml'}: no such design file"
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = 'a'\nnetwork = {layers = [4, 3, 2]}\n[hardware]\nlanes = 3\n", "hardware.lanes"),
        ("name = 'a'\nnetwork = {layers = [4, 3, 2]}\n[hardwire]\n", "hardwire: unknown key"),
        ("name = ", "not a TOML file"),
        ("name = 'a'\n", "network: this key is required"),
    ],
)
def test_wrong_design_names_the_key(bad_design, text, message):
    assert message in run("train", bad_design(text), code=3).stderr


def test_a_folder_is_no_design(tmp_path):
    assert "cannot be read" in run("train", tmp_path, code=3).stderr


def test_a_folder_that_generate_did_not_write(tmp_path):
    assert "manifest.json is missing or unreadable" in run("verify", tmp_path, code=3).stderr


def test_absent_data(tmp_path, monkeypatch):
    monkeypatch.setenv("FREGEN_DATA", str(tmp_path))
    design = TINY.parents[1] / "mnist" / "design.toml"
    assert "train-images-idx3-ubyte" in run("train", design, code=4).stderr


def test_damaged_checkpoint(tmp_path):
    path = tmp_path / "c.npz"
    path.write_bytes(b"no archive")
    assert str(path) in run("train", TINY, "--checkpoint", path, "--resume", code=4).stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train"], "Missing argument 'DESIGN'"),
        (["nonsense"], "No such command 'nonsense'"),
        (["train", TINY, "--epochs", "0"], "--epochs"),
        (["train", TINY, "--model", "quantum"], "--model"),
        (["train", TINY, "--resume"], "--resume needs --checkpoint FILE"),
        (["train", TINY, "--seed", "-1"], "--seed"),
        (["generate", TINY], "Missing option '-o'"),
        (["verify", TINY, "--simulator", "questa"], "--simulator"),
        (["verify", TINY, "--samples", "0"], "--samples"),
        (["verify", TINY, "--inject", "4", "--simulator", "icarus"], "--inject works with --simulator verilator only"),
        (["verify", TINY.parent, "--inject", "4"], "give the design file instead"),
    ],
)
def test_wrong_command_lines_exit_with_64(arguments, message):
    result = run(*arguments, code=64)
    assert message in result.stderr
    assert result.stderr.startswith("error: ")
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    result = run("demo", "--quick", "-o", tmp_path / "file" / "demo", code=6)
    assert "file" in result.stderr


def raising(error):
    def raise_it(*_, **__):
        raise error

    return raise_it


@pytest.mark.parametrize("error", [FregenError("odd"), MismatchError("differ")])
def test_exit_code_is_the_errors_own(monkeypatch, error):
    monkeypatch.setattr(tools, "survey", raising(error))
    assert run("doctor", code=error.exit_code).stderr == f"error: {error}\n"


def test_a_defect_is_one_line_that_tells_how_to_report(monkeypatch):
    monkeypatch.delenv("FREGEN_TRACEBACK", raising=False)
    monkeypatch.setattr(tools, "survey", raising(ValueError("two\nlines")))
    text = run("doctor", code=70).stderr
    assert len(text.splitlines()) == 1
    assert "ValueError: two lines" in text
    assert "FREGEN_TRACEBACK=1" in text


def test_a_defect_with_its_traceback(monkeypatch):
    monkeypatch.setenv("FREGEN_TRACEBACK", "1")
    monkeypatch.setattr(tools, "survey", raising(ValueError("inside")))
    assert isinstance(CliRunner().invoke(cli.cli, ["doctor"]).exception, ValueError)


def test_interruption(monkeypatch):
    monkeypatch.setattr(tools, "survey", raising(KeyboardInterrupt()))
    assert "interrupted" in run("doctor", code=130).stderr


# Commands -----------------------------------------------------------------------------------------------------------


def test_doctor_lists_every_tool():
    found = json.loads(run("doctor", "--json").stdout)
    assert found["ready"] is True
    assert [tool["name"] for tool in found["tools"]] == [tool.name for tool in tools.survey()]
    text = run("doctor").stdout
    assert "verilator" in text
    assert "iverilog" in text


@pytest.mark.parametrize(("name", "code"), [("make", 5), ("iverilog", 0)])
def test_doctor_says_what_to_install(monkeypatch, name, code):
    all_tools = [tools.Tool(tool.name, None, "", tool.hint) if tool.name == name else tool for tool in tools.survey()]
    monkeypatch.setattr(tools, "survey", lambda: all_tools)
    result = run("doctor", code=code)
    assert f"apt install {name}" in result.stdout
    assert (f"{name} is not on this machine: apt install {name}" in result.stderr) == bool(code)
    found = json.loads(run("doctor", "--json", code=code).stdout)
    assert found["ready"] == (code == 0)


@pytest.mark.parametrize("model", ["fixed", "float", "backprop", "fa", "lra", "pep"])
def test_train_tells_its_history(model):
    found = json.loads(run("train", TINY, "--model", model, "--epochs", 2, "--seed", 3, "--json").stdout)
    assert (found["model"], found["epochs"], found["seed"]) == (model, 2, 3)
    assert len(found["history"]) == 2
    assert found["accuracy"] == found["history"][-1]["test_accuracy"]


def test_train_prints_a_table():
    text = run("train", TINY, "--epochs", 1).stdout
    assert "test accuracy" in text
    assert "samples/s" in text


def test_train_resumes_where_it_stopped(tmp_path):
    path = tmp_path / "run.npz"
    whole = json.loads(run("train", TINY, "--epochs", 3, "--json").stdout)
    run("train", TINY, "--epochs", 1, "--checkpoint", path)
    rest = json.loads(run("train", TINY, "--epochs", 3, "--checkpoint", path, "--resume", "--json").stdout)
    assert [r["test_accuracy"] for r in rest["history"]] == [r["test_accuracy"] for r in whole["history"]]


def test_generate_tells_its_files(tmp_path):
    found = json.loads(run("generate", TINY, "-o", tmp_path / "out", "--json").stdout)
    assert "tiny.v" in found["files"]
    assert (tmp_path / "out" / "manifest.json").exists()


@pytest.fixture
def chip(icarus, tmp_path):
    run("generate", TINY, "-o", tmp_path / "chip")
    return tmp_path / "chip"


def break_core(chip):
    text = (chip / "tiny.v").read_text()
    changed = text.replace("$signed(", "~$signed(", 1)
    assert changed != text
    (chip / "tiny.v").write_text(changed)


@pytest.mark.tool
def test_verify_compares_and_a_changed_chip_fails(chip, tmp_path, monkeypatch):
    monkeypatch.setattr(session, "_wave", lambda *_: tmp_path / "wave.fst")
    options = ("--simulator", "icarus", "--samples", 2, "--random", "-o", tmp_path / "run")
    found = json.loads(run("verify", chip, *options, "--json").stdout)
    assert found["passed"] is True
    assert found["result"]["compared"] > 100

    break_core(chip)
    result = run("verify", chip, *options, code=2)
    assert "expected" in result.stderr
    assert f"waveform: {tmp_path / 'wave.fst'}" in result.stderr


@pytest.mark.tool
def test_verify_on_icarus_leaves_a_waveform(chip, tmp_path):
    break_core(chip)
    result = run("verify", chip, "--simulator", "icarus", "--samples", 2, "--random", "-o", tmp_path / "run", code=2)
    assert Path(result.stderr.split("waveform: ")[1].splitlines()[0]).exists()


class Injected:
    def __init__(self, survived):
        self.survived, self.broken = survived, []
        self.planted = {"golden": 2, "weight": 2, "rtl": 4}
        self.caught = {"golden": 2, "weight": 2, "rtl": 3}
        self.equivalent = {"simulation relation": 1}

    @property
    def passed(self):
        return not self.survived

    def table(self):
        return {"planted": self.planted, "passed": self.passed}


@pytest.mark.parametrize(("survived", "code"), [([], 0), (["cell 7, bit 3"], 2)])
def test_inject_tells_what_survived(monkeypatch, tmp_path, survived, code):
    from fregen.faults import inject

    asked = {}

    def fake(design, where, faults, seed, progress):
        asked.update(name=design.name, faults=faults, seed=seed)
        return Injected(survived)

    monkeypatch.setattr(inject, "inject", fake)
    result = run("verify", TINY, "--inject", 8, "--seed", 5, "-o", tmp_path, code=code)
    assert asked == {"name": "tiny", "faults": 8, "seed": 5}
    assert f"survived: {len(survived)}" in result.stdout
    assert all(line in result.stderr for line in survived)
    found = json.loads(run("verify", TINY, "--inject", 8, "-o", tmp_path, "--json", code=code).stdout)
    assert found["passed"] == (code == 0)


@pytest.mark.parametrize("command", ["generate", "show", "verify", "demo", "reproduce", "train", "benchmark"])
def test_an_output_that_cannot_be_written_has_one_exit_code(command, tmp_path):
    (tmp_path / "file").write_text("")
    place = tmp_path / "file" / "below"
    chosen = [] if command in ("demo", "benchmark") else ["depth"] if command == "reproduce" else [TINY]
    option = "--checkpoint" if command == "train" else "-o"
    result = run(command, *chosen, option, place, code=6)
    message = result.stderr.strip().splitlines()[-1]
    assert message.startswith(f"error: {tmp_path / 'file'}")
    assert message.endswith(": cannot be written: Not a directory")


def test_a_full_disk_while_a_picture_is_drawn_leaves_no_half_of_it(tmp_path):
    command = [sys.executable, "-m", "fregen", "show", str(TINY), "-o", str(tmp_path / "out")]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
    )
    said = done.stderr.removeprefix("fregen: starting\n")  # progress, on a slow machine
    assert (done.returncode, said) == (6, f"error: {tmp_path / 'out'}: cannot be written: File too large\n")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_full_disk_under_the_output_is_one_line():
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "fregen", "doctor"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (6, "error: the output: No space left on device\n")


def test_a_long_message_of_an_outside_program_is_cut(monkeypatch):
    text = "\n".join(f"line {k} " + "x" * 1000 for k in range(10_000))
    monkeypatch.setattr(tools, "survey", lambda: (_ for _ in ()).throw(ToolError(text)))
    message = run("doctor", code=5).stderr
    assert len(message) < 5000
    assert message.startswith("error: line 0 ")
    assert "more characters" in message


def test_too_little_memory_is_one_line(monkeypatch):
    monkeypatch.setattr(tools, "survey", lambda: (_ for _ in ()).throw(MemoryError("unable to allocate 8 GiB")))
    assert (
        run("doctor", code=7).stderr == "error: this machine has too little memory for it: unable to allocate 8 GiB\n"
    )


FIND_CACHE = "from fregen.commands import command; command._find_cache()"


@pytest.mark.parametrize(
    ("program", "written"),
    [
        pytest.param(["-m", "fregen", "show", TINY, "-o", "out"], "out/graph.svg", id="show"),
        pytest.param(
            ["-c", f"{FIND_CACHE}; import wasmtime; wasmtime.Config().cache = True"], "", id="the cache of generate"
        ),
        pytest.param(
            ["-m", "fregen", "generate", TINY, "-o", "out"], "out/tiny.v", marks=pytest.mark.long, id="generate"
        ),
    ],
)
def test_a_home_that_cannot_be_written_costs_one_line(program, written, tmp_path):
    """As in a container."""
    environment = {**os.environ, "HOME": os.devnull, "TMPDIR": str(tmp_path)}
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR"):
        environment.pop(name, None)
    command = [sys.executable, *map(str, program)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
    place = tmp_path / f"fregen-{os.getuid()}"
    notes = [line for line in done.stderr.splitlines() if not line.startswith("fregen: ")]
    assert done.returncode == 0, done.stderr
    assert notes == [f"note: the user's cache cannot be written; {place} serves instead (or set XDG_CACHE_HOME)"]
    assert (tmp_path / written).exists()
