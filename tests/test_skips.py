"""In continuous integration a test that did not run has failed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

CASES = """
import pytest
def test_sound(): pass
def test_icarus(icarus): pass
def test_mnist(mnist): pass
@pytest.mark.skipif(True, reason="never")
def test_marked(): pass
def test_skips_itself(): pytest.skip("now")
@pytest.mark.xfail
def test_expected_to_fail(): assert False
"""
SKIPPED = "import pytest\npytest.skip('the whole file', allow_module_level=True)\n"


def outcomes(folder, **variables):
    shutil.copy(Path(__file__).with_name("conftest.py"), folder)
    (folder / "test_cases.py").write_text(CASES)
    (folder / "test_file.py").write_text(SKIPPED)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FREGEN_")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--continue-on-collection-errors", folder],
        env=environment | {"PATH": str(folder), **variables},
        cwd=folder,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout.splitlines()[-1].partition(" in ")[0]


def test_a_skip_is_a_failure_where_the_environment_says_so(tmp_path):
    assert outcomes(tmp_path, FREGEN_NO_SKIPS="0") == (0, "1 passed, 5 skipped, 1 xfailed")
    assert outcomes(tmp_path, FREGEN_NO_SKIPS="1", FREGEN_DATA=str(tmp_path)) == (
        1,
        "1 failed, 1 passed, 1 xfailed, 4 errors",
    )


def test_data_that_nobody_promised_may_be_absent(tmp_path):
    assert outcomes(tmp_path, FREGEN_NO_SKIPS="1") == (1, "1 failed, 1 passed, 1 skipped, 1 xfailed, 3 errors")


def test_a_simulator_that_could_not_be_installed_may_be_absent(tmp_path):
    assert outcomes(tmp_path, FREGEN_NO_SKIPS="1", FREGEN_ICARUS_ABSENT="1") == (
        1,
        "1 failed, 1 passed, 2 skipped, 1 xfailed, 2 errors",
    )
