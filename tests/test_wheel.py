"""Installed from a built wheel into an environment of its own, the demonstration runs from another folder."""

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.tool]

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    (path,) = out.glob("fregen-*.whl")
    return path


def test_wheel_carries_templates_benches_and_designs(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder, inside in (("templates", "_templates"), ("sim", "_sim")):
        for path in (ROOT / folder).iterdir():
            assert not path.is_file() or f"fregen/{inside}/{path.name}" in names
    assert {f"fregen/_rtl/{name}/design.toml" for name in ("digits", "mnist", "residual", "tiny")} <= names
    assert not [name for name in names if name.endswith((".pyc", ".bin", ".npz"))]


def test_demo_from_an_installed_wheel(wheel, tmp_path):
    """The dependencies are lent by the environment of the tests; fregen itself is only what the wheel holds."""
    home = tmp_path / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True)
    python = home / "bin" / "python"
    site = home / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    zipfile.ZipFile(wheel).extractall(site)
    (site / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "FREGEN"))}

    where = [str(python), "-c", "import fregen; print(fregen.__file__)"]
    found = subprocess.run(where, cwd=elsewhere, env=variables, capture_output=True, text=True, check=True)
    assert Path(found.stdout.strip()).is_relative_to(home)

    command = [str(python), "-m", "fregen", "demo", "--quick", "--json", "-o", "out"]
    done = subprocess.run(command, cwd=elsewhere, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout)["mismatches"] == 0
    assert (elsewhere / "out" / "report.html").exists()
