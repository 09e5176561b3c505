"""What a study file may hold, and all that is wrong with one at once."""

import pytest

from fregen.errors import DesignError
from fregen.study import Study

pytestmark = pytest.mark.unit

BASE = """
[design]
name = "little"
network.layers = [64, 8, 8, 10]
learning.epochs = 2
"""


def load(tmp_path, text, base=BASE):
    path = tmp_path / "study.toml"
    path.write_text(text + base)
    return Study.load(path)


def faults(tmp_path, text, base=BASE):
    with pytest.raises(DesignError) as caught:
        load(tmp_path, text, base)
    return str(caught.value).replace(f"{tmp_path}/study.toml: ", "").splitlines()


def test_grid_list_and_seeds_are_multiplied(tmp_path):
    text = """
seeds = [3, 5]
epochs = 4
point = [{ learning.nudge = 0.25 }, { label = "crude", learning.nudge = 1.0, numerics.error = "q1.3" }]
[grid]
numerics.weight = ["q3.5", "q3.13"]
numerics.activation.segments = [4, 8, 16]
"words" = [{ numerics.state = "q1.3", numerics.offset = "q2.4" }]
"""
    study = load(tmp_path, text)
    assert study.axes == ("point", "numerics.weight", "numerics.activation.segments", "words")
    assert len(study.points) == 2 * 2 * 2 * 3
    first, last = study.points[0], study.points[-1]
    assert dict(first.labels) == {
        "point": "1/4",
        "numerics.weight": "q3.5",
        "numerics.activation.segments": "4",
        "words": "q1.3, q2.4",
    }
    assert (first.design.seed, last.design.seed, first.design.learning.epochs) == (3, 5, 4)
    assert last.labels["point"] == "crude"
    assert str(last.design.numerics.error) == "q1.3"
    assert last.design.numerics.activation.segments == 16
    assert last.design.learning.nudge == 1.0
    assert (last.coordinate("weight bits"), last.coordinate("state bits")) == ("16", "4")
    assert study.picture.panel == ("point", "numerics.activation.segments")


def test_a_design_is_found_beside_its_study(tmp_path):
    (tmp_path / "design.toml").write_text(BASE.replace("[design]", ""))
    study = load(tmp_path, 'design = "design.toml"\nseeds = 3', base="")
    assert [point.design.seed for point in study.points] == [0, 1, 2]
    assert study.axes == ()


def test_all_faults_are_told_together(tmp_path):
    text = """
sedes = 3
[grid]
numerics.weigth = ["q3.5"]
numerics.state = []
network.beta = [0.5, 0.3]
learning.batch = [3]
words = [{ numerics.stat = "q1.3" }, { label = 4, numerics.state = "q1.3" }]
seed = [1, 2]
[picture]
x = "nothing"
"""
    lines = faults(tmp_path, text)
    text = "\n".join(lines)
    assert "sedes: unknown key; known here: name, design, epochs, seeds" in text
    assert "grid.numerics.weigth: no key of a design file (known here: state, weight, offset" in text
    assert "grid.numerics.state: expected a list of at least one value, not []" in text
    assert "numerics.stat: no key of a design file" in text
    assert "label: expected 1 to 60 characters, not 4" in text
    assert "grid.seed: give seeds beside the grid" in text
    assert "picture.x: expected one of" in text
    assert len(lines) >= 7


def test_values_that_are_no_design_are_told_once(tmp_path):
    text = 'seeds = 50\n[grid]\nnumerics.state = ["q1.15", "q1.99"]\nlearning.batch = [0, 16]\n'
    lines = faults(tmp_path, text)
    assert len(lines) == 2
    assert "numerics.state" in lines[0] + lines[1]
    assert "learning.batch" in lines[0] + lines[1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[grid]", "grid: has no axis"),
        ("grid = 3", "grid: expected axes"),
        ("seeds = []", "seeds: expected how many"),
        ("seeds = [1, 1]", "seeds: one is there twice"),
        ("point = []", "point: expected at least one table"),
        ("seeds = 1001\n[grid]\nlearning.nudge = [1.0, 0.5]\nnumerics.rounding = " + str(["nearest"] * 50), "100,100"),
        ("[grid]\nwords = [1, 2]", "grid.words: no key of a design file"),
        ("epochs = 0", "learning.epochs"),
        ("name = 3", "name: expected 1 to 60 characters"),
        ('[grid]\nlearning = ["x"]', "grid.learning: no key of a design file"),
    ],
)
def test_one_fault(tmp_path, text, said):
    assert any(said in line for line in faults(tmp_path, text))


def test_a_wrong_design_and_a_wrong_axis_are_told_together(tmp_path):
    lines = faults(tmp_path, '[grid]\nlearning.bath = [1]\n[design]\nname = "x"\nnetwork.layers = [1]', base="")
    assert any("grid.learning.bath" in line for line in lines)
    assert any("network.layers" in line for line in lines)
