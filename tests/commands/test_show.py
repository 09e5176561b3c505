"""`fregen show`: what it tells is what the graph has, and the picture shows every connection in its own way."""

import itertools
import json
import re
import tomllib
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from click.testing import CliRunner
from matplotlib.colors import to_hex
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from fregen.commands import cli, show
from fregen.commands.show import _sizes, describe
from fregen.design.document import Design
from fregen.design.graph import Connection, Graph, Kind, Layer, Matrix
from fregen.design.initial import glorot
from fregen.views.graph_figure import _ports, graph_figure, line_kind

pytestmark = pytest.mark.e2e

TINY = Path(__file__).parents[2] / "rtl" / "tiny" / "design.toml"


def run(*arguments, code=0):
    result = CliRunner().invoke(cli.cli, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output + repr(result.exception)
    return result


def mixed():
    """4-3-2-2-5 with a skip, a symmetric and a fixed feedback connection, and a fixed way for the error."""
    layers = tuple(Layer(i, size) for i, size in enumerate((4, 3, 2, 2, 5)))
    matrices = (
        *(Matrix(i, f"W{i}", i + 1, i) for i in range(4)),
        Matrix(4, "W1_3", 3, 1),
        Matrix(5, "B2", 2, 3),
        Matrix(6, "B3", 3, 4),
    )
    return Graph(
        layers,
        matrices,
        (
            *(Connection(i, i + 1, i, False, 1.0, Kind.FORWARD) for i in range(4)),
            Connection(1, 3, 4, False, 0.5, Kind.FORWARD),
            Connection(2, 1, 1, True, 0.25, Kind.FEEDBACK),
            Connection(3, 2, 5, False, 0.3, Kind.FEEDBACK),
        ),
        (Connection(4, 3, 6, False, 1.0, Kind.FEEDBACK),),
    )


def test_tiny_design_is_told_in_figures_worked_by_hand(tmp_path):
    """64-6-5-10: 384 + 30 + 50 weights; a step multiplies 30 up, 30 down and 50 at the readout."""
    found = json.loads(run("show", TINY, "-o", tmp_path / "new" / "tiny", "--json").stdout)
    assert (found["name"], found["layers"]) == ("tiny", [64, 6, 5, 10])
    assert found["weights"] == {"all": 464, "learned": 464, "fixed": 0}
    assert found["multiplications"] == {"hidden": 60, "readout": 50, "input": 384, "step": 110, "error": 50}
    assert [(c["source"], c["target"], c["matrix"], c["transposed"], c["scale"]) for c in found["connections"]] == [
        ("input", "hidden 1", "W0", False, 1.0),
        ("hidden 1", "hidden 2", "W1", False, 1.0),
        ("hidden 2", "output", "W2", False, 1.0),
        ("hidden 2", "hidden 1", "W1", True, 0.03125),
        ("output", "hidden 2", "W2", True, 0.5),
    ]
    design = Design.load(TINY)
    singular = np.linalg.norm(glorot(Graph.build(design.network), design.seed)[1], 2)
    assert found["spectral_radius"] == pytest.approx(singular * 0.03125**0.5)


def test_both_pictures_are_drawn_and_are_the_same_again(tmp_path):
    for name in ("a", "b"):
        run("show", TINY, "-o", tmp_path / name)
    for file in ("graph.svg", "graph.png"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    assert (tmp_path / "a" / "graph.svg").read_text().startswith("<svg")
    pixels = matplotlib.image.imread(tmp_path / "a" / "graph.png")
    assert min(pixels.shape[:2]) > 500
    assert pixels[..., :3].min() < 0.2 < 0.5 < pixels[..., :3].mean(), "dark lines on a light ground"


def test_says_what_the_core_needs_and_why_a_net_has_none(tmp_path):
    needs = describe(Design.load(TINY))["hardware"]
    assert needs["multipliers"] == 4 + 3
    assert needs["memory_bits"] == sum(needs["memories"].values()) > 4 * 168 * 16
    table = {**Design.load(TINY).table()}
    table["network"] = {**table["network"], "biases": True}
    found = describe(Design.parse(table))
    assert found["hardware"] is None
    assert "biases" in found["hardware_left_out"]


def test_table_holds_the_figures_and_the_folder_has_a_default(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = run("show", TINY).stdout
    for part in (
        "64-6-5-10",
        "464 (464 learned, 0 fixed)",
        "110 (60 hidden to hidden, 50 readout)",
        "W1ᵀ",
        "0.03125",
        "multipliers",
    ):
        assert part in text
    assert (tmp_path / "build" / "show" / "tiny" / "graph.png").exists()


@pytest.mark.parametrize(
    ("layers", "maps", "text"),
    [
        ([64, 32, 32, 10], {}, "64-32-32-10"),
        ([784, *[64] * 5, 10], {}, "784-(5×64)-10"),
        ([4, *[3] * 5, 2, 2], {}, "4-3-3-3-3-3-2-2"),
        ([4, *[3] * 20, 2, 2], {}, "21 hidden layers"),
        (
            [784, 18432, 4096, 10],
            {0: [1, 28, 28], 1: [32, 24, 24], 2: [64, 8, 8]},
            "1×28×28-32c-64c-10",
        ),
        ([64, 72, 8, 10, 10], {0: [1, 8, 8], 1: [2, 6, 6], 2: [2, 2, 2]}, "1×8×8-2c-2c-10-10"),
        ([64, *[128] * 4, 10], {0: [1, 8, 8], **{i: [2, 8, 8] for i in range(1, 5)}}, "1×8×8-(4×2c)-10"),
    ],
)
def test_title_tells_the_sizes_in_a_few_characters(layers, maps, text):
    assert _sizes(layers, maps) == text


def test_every_connection_has_an_arrow_and_fixed_feedback_looks_unlike_symmetric():
    graph = mixed()
    axes = graph_figure(graph, 0.5, "mixed").axes[0]
    arrows = [patch for patch in axes.patches if isinstance(patch, FancyArrowPatch)]
    looks = sorted((to_hex(arrow.get_edgecolor()), arrow.get_linestyle()) for arrow in arrows)
    kinds = [line_kind(graph, c) for c in (*graph.connections, *graph.error_connections)]
    assert looks == sorted((kind.colour, kind.dash) for kind in kinds)
    names = [kind.name for kind in kinds]
    assert names[:5] == ["forward, learned"] * 5
    assert names[5:] == [
        "feedback, symmetric (transposed)",
        "feedback, fixed random weights",
        "output error, fixed random weights",
    ]
    assert len(set(looks)) == 4


def test_matrix_has_a_cell_at_every_connection_row_to_column_from():
    figure = graph_figure(mixed(), 0.5, "mixed")
    texts = {tuple(map(int, text.get_position())): text.get_text() for text in figure.axes[1].texts}
    assert set(texts) == {(0, 1), (1, 2), (2, 3), (3, 4), (1, 3), (2, 1), (3, 2), (4, 3)}
    assert texts[2, 1] == r"$2^{-2}\,W_{1}^{\,T}$"
    assert texts[3, 2] == r"$0.3\,B_{2}$"
    assert texts[4, 3] == r"$2^{-1}\,B_{3}$"
    assert texts[1, 3] == r"$2^{-1}\,W_{1,3}$"


def test_deepest_design_is_drawn_without_names_in_the_cells():
    design = Design.parse({"name": "deep", "network": {"layers": [4, *[3] * 32, 2]}})
    figure = graph_figure(Graph.build(design.network), 0.5, "deep")
    assert figure.get_figwidth() < 24
    assert not figure.axes[1].texts
    assert len(describe(design)["connections"]) == 33 + 31 + 1


def test_designs_that_only_the_float_model_runs_are_shown(tmp_path):
    path = tmp_path / "float.toml"
    path.write_text("name = 'f'\n[network]\nlayers = [8, 4, 4, 4, 3]\nbeta = 0.1\nfeedback = 'asymmetric'\n")
    found = json.loads(run("show", path, "-o", tmp_path, "--json").stdout)
    assert found["weights"] == {"all": 32 + 16 + 16 + 12 + 16 + 16 + 12, "learned": 76, "fixed": 44}


MAPS = """name = "maps"
[network]
biases = true
layers = [
    { channels = 1, height = 6, width = 6 },
    { channels = 2, kernel = 3, pool = 2 },
    { channels = 3, kernel = 2, padding = 1, pool = 3 },
    5,
    4,
]
"""
"""Maps of 2 x 4 x 4, of which 2 x 2 x 2 states are forwarded, and of 3 x 3 x 3, of which 3 do."""


def test_feature_maps_and_biases_are_told_in_figures_worked_by_hand(tmp_path):
    """Weights 2 * 9 + 3 * 2 * 4 + 5 * 3 + 4 * 5 = 77, and 2 + 3 + 5 + 4 biases; W0 moves to 16 places, W1 to 9."""
    (tmp_path / "maps.toml").write_text(MAPS)
    found = json.loads(run("show", tmp_path / "maps.toml", "-o", tmp_path / "out", "--json").stdout)
    assert found["layers"] == [36, 32, 27, 5, 4]
    assert found["maps"] == {"0": [1, 6, 6], "1": [2, 4, 4], "2": [3, 3, 3]}
    assert found["weights"] == {"all": 91, "learned": 91, "fixed": 0}
    hidden = 2 * 24 * 9 + 2 * 15
    assert found["multiplications"] == {
        "hidden": hidden,
        "readout": 20,
        "input": 18 * 16,
        "step": hidden + 20,
        "error": 20,
    }
    assert [(c["matrix"] + "T" * c["transposed"], c["rows"], c["columns"]) for c in found["connections"]] == [
        ("W0", 32, 36),
        ("W1", 27, 8),
        ("W2", 5, 3),
        ("W3", 4, 5),
        ("W1T", 8, 27),
        ("W2T", 3, 5),
        ("W3T", 5, 4),
    ]
    assert found["spectral_radius"] is None
    assert found["spectral_radius_left_out"] == "pooling makes it depend on the states"


def test_table_and_picture_of_feature_maps_leave_the_spectral_radius_out(tmp_path):
    (tmp_path / "maps.toml").write_text(MAPS)
    text = run("show", tmp_path / "maps.toml", "-o", tmp_path / "out").stdout
    assert re.search(r"spectral radius, initial weights +│ pooling makes it depend on the states ", text)
    drawn = (tmp_path / "out" / "graph.svg").read_text()
    assert "maps: 1×6×6-2c-3c-5-4" in drawn
    assert "weights learned" in drawn
    assert "spectral" not in drawn


def test_nodes_of_feature_maps_bear_their_shape_and_windows():
    figure = graph_figure(Graph.build(Design.parse(tomllib.loads(MAPS)).network), 0.5, "maps")
    rows = {}
    for text in figure.axes[0].texts:
        x, y = text.get_position()
        if x == int(x):
            rows.setdefault(int(x), []).append((-y, text.get_text()))
    assert [[text for _, text in sorted(rows[layer])] for layer in range(5)] == [
        ["input", "1×6×6"],
        ["hidden 1", "2×4×4", "max 2×2"],
        ["hidden 2", "3×3×3", "max 3×3"],
        ["hidden 3", "5"],
        ["output", "4"],
    ]


@pytest.mark.parametrize("shape", [(128, 32, 32), (1024, 256, 256)])
@pytest.mark.parametrize("more", [0, 10])
def test_shape_of_the_largest_maps_fits_its_node(shape, more):
    channels, height, width = shape
    layers = [
        {"channels": 1, "height": height, "width": width},
        {"channels": channels, "kernel": 1},
        *[2] * more,
        2,
    ]
    figure = graph_figure(Graph.build(Design.parse({"name": "a", "network": {"layers": layers}}).network), 0.5, "a")
    figure.draw_without_rendering()
    axes = figure.axes[0]
    words = next(text for text in axes.texts if text.get_text() == "×".join(map(str, shape)))
    box = [patch for patch in axes.patches if isinstance(patch, FancyBboxPatch)][1]
    inside, outside = words.get_window_extent(), box.get_window_extent()
    assert outside.x0 < inside.x0 < inside.x1 < outside.x1


def test_biases_of_a_network_without_maps_learn_and_multiply_nothing(tmp_path):
    text = TINY.read_text().replace("biases = false", "biases = true")
    (tmp_path / "tiny.toml").write_text(text)
    plain, found = (describe(Design.load(path)) for path in (TINY, tmp_path / "tiny.toml"))
    assert found["weights"] == {"all": 464 + 6 + 5 + 10, "learned": 485, "fixed": 0}
    for description in (plain, found):
        del description["weights"], description["hardware"], description["hardware_left_out"]
    assert found == plain
    assert "maps" not in found


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("name = 'a'\nnetwork = {layers = [4, 3]}\n", 3, "network.layers"),
        (
            "name = 'a'\n[network]\nlayers = [4, 3, 3, 2]\nscales = [{source = 1, target = 3, scale = 0.5}]\n",
            3,
            "no connection from hidden layer 1 to 3",
        ),
        ("name = 'a'\nnetwork = {layers = [4, 3, 2]}\n", 6, "taken"),
    ],
    ids=["design", "graph", "folder"],
)
def test_errors_are_one_line_and_draw_nothing(tmp_path, text, code, message):
    (tmp_path / "a.toml").write_text(text)
    (tmp_path / "taken").write_text("a file")
    out = tmp_path / "taken" if code == 6 else tmp_path / "out"
    result = run("show", tmp_path / "a.toml", "-o", out, code=code)
    said = result.stderr.removeprefix("fregen: starting\n")  # progress, on a slow machine
    assert said.startswith("error: ")
    assert message in said
    assert len(said.strip().splitlines()) == 1
    assert result.stdout == ""
    assert not (tmp_path / "out").exists()


def large(tmp_path, layers):
    path = tmp_path / "large.toml"
    path.write_text(f'name = "wide"\n[network]\nlayers = {layers}\n')
    return path


def test_largest_network_is_shown_without_drawing_its_weights(tmp_path, monkeypatch):
    """34 layers of 4096 neurons took 4.5 GB and more than 100 s: the spectral radius needs every weight."""
    monkeypatch.setattr(show, "glorot", lambda *_: pytest.fail("weights were drawn"))
    found = json.loads(run("show", large(tmp_path, [4096] * 34), "-o", tmp_path, "--json").stdout)
    assert found["weights"]["all"] == 33 * 4096**2
    assert found["spectral_radius"] is None
    assert found["spectral_radius_left_out"] == ("more than 16,777,216 weights: --spectrum computes it all the same")
    assert (tmp_path / "graph.png").stat().st_size > 10_000


def test_spectral_radius_is_computed_when_asked_for_and_not_when_not(tmp_path, monkeypatch):
    monkeypatch.setattr(show, "SPECTRUM_UP_TO", 100)
    found = {
        option: json.loads(run("show", TINY, "-o", tmp_path, "--json", *option).stdout)
        for option in ((), ("--spectrum",), ("--no-spectrum",))
    }
    assert found[()]["spectral_radius"] is None
    assert found[("--spectrum",)]["spectral_radius"] > 0.1
    assert found[("--spectrum",)]["spectral_radius_left_out"] is None
    assert found[("--no-spectrum",)]["spectral_radius_left_out"] == "not asked for"


def test_search_for_the_spectral_radius_reports_its_products(tmp_path):
    steps = []
    design = Design.load(large(tmp_path, [6, 300, 300, 4]))
    found = describe(design, progress=lambda *step: steps.append(step))
    assert found["spectral_radius"] > 0.1
    assert steps[-1] == (len(steps), 0, "products for the spectral radius")
    assert len(steps) > 40


@pytest.mark.parametrize("topology", ["residual", "random"])
def test_arrowheads_at_a_node_do_not_run_together(topology):
    """Heads are 2 x 1.8 wide, in points times their scale; two arcs that end at one edge lie further apart."""
    network = {"layers": (20, *(8,) * 10, 5), "topology": topology, "feedback": "asymmetric"}
    graph = Graph.build(Design.parse({"name": "n", "network": network}).network)
    figure = graph_figure(graph, 0.5, "n")
    axes = figure.axes[0]
    inches = axes.get_position().width * figure.get_figwidth() / (axes.get_xlim()[1] - axes.get_xlim()[0])
    heads = {}
    for patch in axes.patches:
        if isinstance(patch, FancyArrowPatch) and (end := patch._path_original.vertices[-1])[1] != 0:
            width = 2 * 1.8 * patch.get_mutation_scale()
            heads.setdefault((round(end[0]), end[1] > 0), []).append((end[0] * inches * 72, width))
    crowded = [sorted(ends) for ends in heads.values() if len(ends) > 1]
    assert len(crowded) >= 3
    for ends in crowded:
        for (left, width), (right, _) in itertools.pairwise(ends):
            assert right - left >= width


def test_arcs_at_one_edge_of_a_node_do_not_cross():
    """Node 4 of a residual chain, below: to 3, to 1, from 7, from 5, from the left."""
    network = {"layers": (20, *(8,) * 10, 5), "topology": "residual"}
    graph = Graph.build(Design.parse({"name": "n", "network": network}).network)
    ends = {}
    for c in graph.connections:
        if c.kind is Kind.FEEDBACK and 4 in (c.source, c.target):
            ends[c.target if c.source == 4 else c.source] = _ports(graph.connections)[0][c, 4]
    assert sorted(ends, key=ends.__getitem__) == [3, 1, 7, 5]
