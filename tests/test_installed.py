"""Installed by pip from a built wheel, fregen generates a folder whose bench runs; no file of the checkout is used."""

import os
import site
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

pytestmark = [pytest.mark.e2e, pytest.mark.tool]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    where = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(where), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = where.glob("fregen-*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory):
    """An environment of its own: the wheel, and the dependencies of this one without its editable fregen."""
    home = tmp_path_factory.mktemp("installed") / "venv"
    venv.EnvBuilder(with_pip=True, symlinks=True).create(home)
    program = home / "bin" / "python"
    install = [str(program), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, "--no-deps", "--no-index", str(wheel)], check=True)
    # A path file adds folders but does not read the path files in them: editable fregen stays out.
    inside = subprocess.run(
        [str(program), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    outer = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *site.getsitepackages()}
    Path(inside.stdout.strip(), "dependencies.pth").write_text("".join(f"{path}\n" for path in sorted(outer)))
    return program


def run(python, cwd, *command):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COCOTB"))}
    environment["PATH"] = f"{python.parent}{os.pathsep}{environment['PATH']}"
    return subprocess.run([str(python), *command], capture_output=True, text=True, cwd=cwd, env=environment)


def test_what_is_imported_is_the_wheel(python, tmp_path):
    script = "import fregen, fregen.emit.render; print(fregen.__file__); print(fregen.emit.render.folder('templates'))"
    done = run(python, tmp_path, "-c", script)
    assert done.returncode == 0, done.stderr
    for line in done.stdout.split():
        assert Path(line).is_relative_to(python.parent.parent), line


def test_generate_and_its_bench_run_from_another_folder(python, tmp_path):
    design = tmp_path / "design.toml"
    design.write_text((ROOT / "rtl" / "tiny" / "design.toml").read_text())
    done = run(python, tmp_path, "-m", "fregen", "generate", "design.toml", "-o", "chip")
    assert done.returncode == 0, done.stdout + done.stderr
    done = run(python, tmp_path, "chip/run.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 mismatches" in done.stdout
