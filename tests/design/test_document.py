import tomllib
from pathlib import Path

import pytest

from fregen.data.datasets import load
from fregen.design.document import Activation, Design, Learning, Network, log2_scale
from fregen.errors import DesignError
from fregen.fixed import Q
from fregen.spec.network import NetworkSpec

pytestmark = pytest.mark.unit

FILES = sorted((Path(__file__).parents[2] / "rtl").glob("*/design.toml"))
SMALL = {"name": "little", "network": {"layers": [4, 3, 2]}}


def table(key=None, value=None):
    """Return the small design with one key (``section.key``) set."""
    result = {**SMALL, "network": dict(SMALL["network"])}
    if key is not None:
        *sections, last = key.split(".")
        place = result
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = value
    return result


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("learnig", {}, "learnig: unknown key; known here: name, seed, network, numerics, learning, hardware, data"),
        ("learning.rat", 1, "learning.rat: unknown key; known here: free_steps, nudged_steps, nudge, rate,"),
        (
            "numerics.activation.knots",
            1,
            "numerics.activation.knots: unknown key; known here: function, segments, range",
        ),
        ("name", "Net", "name: string should match pattern '^[a-z][a-z0-9_]{0,31}$' (got 'Net')"),
        ("seed", -1, "seed: input should be greater than or equal to 0 (got -1)"),
        ("seed", "one", "seed: input should be a valid integer, unable to parse string as an integer (got 'one')"),
        ("network.layers", [4, 2], "network.layers: tuple should have at least 3 items after validation, not 2"),
        ("network.layers", [4, 0, 2], "network.layers.1: input should be greater than or equal to 1 (got 0)"),
        ("network.layers", [4, 5000, 2], "network.layers.1: input should be less than or equal to 4096 (got 5000)"),
        ("network.topology", "ring", "network.topology: input should be 'layered', 'residual', 'random' or"),
        ("network.beta", 17, "network.beta: input should be less than or equal to 16 (got 17)"),
        ("network.alpha", -1, "network.alpha: input should be greater than 0 (got -1)"),
        ("learning.nudge", 0, "learning.nudge: input should be greater than 0 (got 0)"),
        ("learning.rate", 0, "learning.rate: input should be greater than 0 (got 0)"),
        ("numerics.state", "1.15", "numerics.state: a format is written q<int>.<frac>, such as q3.13"),
        ("numerics.weight", "q0.8", "numerics.weight: a format needs at least the sign bit and no negative fraction"),
        ("numerics.offset", "q20.13", "numerics.offset: q20.13 is 33 bits wide; 4 to 24 bits are allowed"),
        ("numerics.rounding", "up", "numerics.rounding: input should be 'nearest' or 'stochastic' (got 'up')"),
        ("numerics.activation", {"segments": 6}, "numerics.activation: segments must be a power of two, not 6"),
        ("numerics.activation.range", 3, "numerics.activation.range: input should be 1, 2, 4 or 8 (got 3)"),
        ("numerics.activation.function", "relu", "input should be 'tanh', 'hard-tanh' or 'hard-sigmoid' (got 'relu')"),
        ("learning.free_steps", 0, "learning.free_steps: input should be greater than or equal to 1 (got 0)"),
        ("learning.nudged_steps", 256, "learning.nudged_steps: input should be less than or equal to 255 (got 256)"),
        ("learning.order", "up", "learning.order: input should be 'synchronous' or 'sweep' (got 'up')"),
        ("learning.error", "kept", "learning.error: input should be 'held' or 'recomputed' (got 'kept')"),
        ("learning.nudged", "both", "learning.nudged: input should be 'states' or 'offset' (got 'both')"),
        ("learning.epochs", 0, "learning.epochs: input should be greater than or equal to 1 (got 0)"),
        ("learning.rate_steps", [{"epoch": 1}], "learning.rate_steps.0.rate: this key is required"),
        (
            "learning.rate_steps",
            [{"epoch": 1, "rate": -1}],
            "learning.rate_steps.0.rate: input should be greater than 0",
        ),
        ("learning.optimizer", "rmsprop", "learning.optimizer: input should be 'sgd', 'momentum' or 'adam'"),
        ("hardware.lanes", 3, "hardware.lanes: input should be 1, 2, 4, 8, 16, 32 or 64 (got 3)"),
        ("hardware.samples", 3, "hardware.samples: input should be 1, 2 or 4 (got 3)"),
        ("hardware.drain", 3, "hardware.drain: input should be 1, 2 or 4 (got 3)"),
        ("hardware.drain", 8, "hardware.drain: input should be 1, 2 or 4 (got 8)"),
        ("hardware.words", 3, "hardware.words: input should be 1, 2, 4 or 8 (got 3)"),
        ("hardware.words", 16, "hardware.words: input should be 1, 2, 4 or 8 (got 16)"),
        ("hardware", {"lanes": 2, "drain": 4}, "hardware: drain is at most the number of lanes: 2, not 4"),
        ("hardware", {"lanes": 1, "drain": 2}, "hardware: drain is at most the number of lanes: 1, not 2"),
        ("hardware.family", "generic", "hardware.family: input should be 'portable' or 'ecp5' (got 'generic')"),
        ("hardware.family", "ECP5", "hardware.family: input should be 'portable' or 'ecp5' (got 'ECP5')"),
        ("hardware.clock_mhz", 100.0, "hardware.clock_mhz: nothing reads this key yet: leave it out"),
        ("data.set", "cifar", "data.set: input should be 'digits', 'idx', 'cifar10' or 'npz' (got 'cifar')"),
        ("data.train", 0, "data.train: input should be greater than or equal to 1 (got 0)"),
    ],
)
def test_message_names_key_value_and_what_is_allowed(key, value, message):
    with pytest.raises(DesignError) as caught:
        Design.parse(table(key, value))
    assert str(caught.value).startswith("design: ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ({"topology": "residual"}, "no residual connection fits: from layer 1 over 3 leads to layer 4, and the last"),
        ({"topology": "adjacency"}, "adjacency is needed by topology = 'adjacency', and by no other"),
        ({"adjacency": [[0, 1], [1, 0]]}, "adjacency is needed by topology = 'adjacency', and by no other"),
        ({"topology": "adjacency", "adjacency": [[0, 1]]}, "adjacency must have 2 rows of 2 numbers"),
        ({"topology": "adjacency", "adjacency": [[0, 1], [1, 1]]}, "adjacency must have zeros on its diagonal"),
        ({"probability": 1.5}, "network.probability: input should be less than or equal to 1 (got 1.5)"),
        ({"feedback": "none"}, "network.feedback: input should be 'symmetric' or 'asymmetric' (got 'none')"),
        ({"scales": [{"source": 0, "target": 1, "scale": 1}]}, "network.scales.0.source: input should be greater than"),
    ],
)
def test_what_makes_no_topology_is_refused(network, message):
    with pytest.raises(DesignError) as caught:
        Design.parse({"name": "t", "network": {"layers": [4, 3, 3, 2], **network}})
    assert message in str(caught.value)


IMAGE = {"channels": 1, "height": 8, "width": 6}
MAPS = {"channels": 2, "kernel": 3}


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (
            [IMAGE, {"channels": 0, "kernel": 3}, 2],
            "network.layers.1.channels: input should be greater than or equal to 1",
        ),
        ([IMAGE, {"channels": 2}, 2], "network.layers.1.kernel: this key is required"),
        (
            [IMAGE, {**MAPS, "stride": 2}, 2],
            "network.layers.1.stride: unknown key; known here: channels, kernel, padding",
        ),
        ([IMAGE, {**MAPS, "padding": 3}, 2], "network.layers.1: padding must be less than the kernel, 3, not 3"),
        ([{"channels": 1, "height": 8}, MAPS, 2], "network.layers.0.width: this key is required"),
        ([IMAGE, {"channels": 2, "kernel": 7}, 2], "hidden layer 1: a kernel of 7 exceeds 8 x 6 pixels"),
        ([IMAGE, {**MAPS, "pool": 4}, 2], "hidden layer 1: windows of 4 do not divide its 6 x 4 pixels"),
        ([IMAGE, {**MAPS, "pool": 2}, {**MAPS, "kernel": 4}, 2], "hidden layer 2: a kernel of 4 exceeds 3 x 2 pixels"),
        ([IMAGE, 5, 2], "an input with height and width needs a layer with a kernel above it"),
        ([48, MAPS, 2], "an input with height and width needs a layer with a kernel above it"),
        ([IMAGE, 5, MAPS, 2], "layers with a kernel lie side by side above the input"),
        ([IMAGE, MAPS, MAPS], "layers with a kernel lie side by side above the input, numbers of neurons above them"),
        ([IMAGE, IMAGE, MAPS, 2], "the input alone, the first layer, has height and width"),
        ([MAPS, MAPS, 2], "the input alone, the first layer, has height and width; no other has, and it has no kernel"),
    ],
)
def test_wrong_feature_maps_are_refused(layers, message):
    with pytest.raises(DesignError) as caught:
        Design.parse(table("network.layers", layers))
    assert message in str(caught.value)


@pytest.mark.parametrize("keys", [{"topology": "residual", "block": 2}, {"feedback": "asymmetric"}])
def test_feature_maps_are_layered_and_symmetric(keys):
    with pytest.raises(DesignError, match="with convolution topology is 'layered' and feedback 'symmetric'"):
        Design.parse({"name": "maps", "network": {"layers": [IMAGE, MAPS, 5, 4, 3, 2], **keys}})


def test_feature_maps_have_sizes_and_are_read_back_the_same():
    design = Design.parse(
        table("network.layers", [IMAGE, {**MAPS, "pool": 2}, {**MAPS, "kernel": 1, "padding": 0}, 5, 2])
    )
    assert design.network.maps() == {0: (1, 8, 6), 1: (2, 6, 4), 2: (2, 3, 2)}
    assert (design.network.sizes, design.network.hidden) == ((48, 48, 12, 5, 2), (48, 12, 5))
    assert Design.parse(design.table()) == design


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (
            "network.layers",
            [IMAGE, MAPS, 2],
            "network.layers: fixed point has no convolution; only the float model has it",
        ),
        ("network.biases", True, "network.biases: fixed point has none; only the float model has them"),
    ],
)
def test_fixed_point_refuses_maps_and_biases(key, value, message):
    with pytest.raises(DesignError) as caught:
        NetworkSpec(Design.parse(table(key, value)))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        (
            "network",
            {"beta": 0.01},
            "network.beta: in fixed point a scale is a power of two from 2**-15 to 1, not 0.01",
        ),
        ("network", {"alpha": 2.0}, "network.alpha: in fixed point a scale is a power of two"),
        (
            "network",
            {"scales": [{"source": 1, "target": 2, "scale": 0.3}]},
            "network.scales (1 to 2): in fixed point a scale",
        ),
        ("learning", {"nudge": 0.1}, "learning.nudge: in fixed point a scale is a power of two"),
        ("learning", {"rate": 2**-16}, "learning.rate: in fixed point a scale is a power of two"),
        ("learning", {"rate_steps": [{"epoch": 1, "rate": 0.3}]}, "learning.rate_steps (epoch 1): in fixed point"),
        ("learning", {"batch": 12}, "learning.batch: in fixed point a batch is a power of two from 1 to 64, not 12"),
        ("learning", {"batch": 128}, "learning.batch: in fixed point a batch is a power of two from 1 to 64, not 128"),
        ("learning", {"optimizer": "adam"}, "learning.optimizer: fixed point has 'sgd', not 'adam'"),
        ("learning", {"state_noise": 0.1}, "learning.state_noise: only the float model has it"),
    ],
)
def test_fixed_point_refuses_what_only_the_float_model_can(section, values, message):
    design = Design.parse({"name": "t", "network": {"layers": [4, 3, 3, 2]}}).replace(**{section: values})
    with pytest.raises(DesignError) as caught:
        NetworkSpec(design)
    assert message in str(caught.value)


def test_rate_steps_must_rise():
    steps = [{"epoch": 3, "rate": 0.25}, {"epoch": 3, "rate": 0.125}]
    with pytest.raises(DesignError, match=r"learning: rate_steps must have rising epochs, not \[3, 3\]"):
        Design.parse(table("learning.rate_steps", steps))


def test_every_fault_has_its_line():
    with pytest.raises(DesignError) as caught:
        Design.parse({"seed": -1, "network": {}})
    lines = str(caught.value).splitlines()
    assert lines == [
        "design: name: this key is required",
        "design: seed: input should be greater than or equal to 0 (got -1)",
        "design: network.layers: this key is required",
    ]


def test_file_faults_name_the_file(tmp_path):
    path = tmp_path / "design.toml"
    with pytest.raises(DesignError, match=r"design\.toml: no such design file"):
        Design.load(path)
    path.write_text("name = ")
    with pytest.raises(DesignError, match=r"design\.toml: not a TOML file: "):
        Design.load(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DesignError, match=r"design\.toml: cannot be read as text"):
        Design.load(path)
    with pytest.raises(DesignError, match="cannot be read as text"):
        Design.load(tmp_path)
    path.write_text('name = "x"\n[network]\nlayers = [4, 3, 2]\nbias = true\n')
    with pytest.raises(DesignError, match=r"design\.toml: network\.bias: unknown key; known here: layers, topology"):
        Design.load(path)


def test_path_of_data_is_relative_to_the_file(tmp_path):
    (tmp_path / "design.toml").write_text(
        'name = "x"\n[network]\nlayers = [4, 3, 2]\n[data]\nset = "npz"\npath = "sub/../set.npz"\n'
    )
    assert Design.load(tmp_path / "design.toml").data.path == str(tmp_path / "set.npz")


def test_defaults():
    design = Design.parse(SMALL)
    assert (design.free_steps, design.nudged_steps) == (8, 8)
    assert Design(name="a", network=Network(layers=(4, 3, 3, 3, 2))).free_steps == 12
    assert (design.network.beta, design.learning.nudge, design.learning.rate) == (1 / 32, 1 / 2, 1 / 8)
    assert (design.numerics.state, design.numerics.weight) == (Q(1, 15), Q(3, 13))
    assert (design.learning.nudged, design.learning.order, design.learning.error) == ("offset", "sweep", "held")
    assert design.numerics.activation == Activation(function="tanh", segments=8, range=4)


def test_rate_by_epoch():
    learning = Learning.model_validate(
        {"rate": 0.125, "rate_steps": [{"epoch": 2, "rate": 0.0625}, {"epoch": 4, "rate": 0.5}]}
    )
    assert [learning.rate_at(epoch) for epoch in range(6)] == [0.125, 0.125, 0.0625, 0.0625, 0.5, 0.5]


def test_scales():
    assert [log2_scale(scale) for scale in (1.0, 0.5, 2**-15)] == [0, 1, 15]


def test_objects_are_frozen():
    design = Design.parse(SMALL)
    with pytest.raises(ValueError, match="frozen"):
        design.seed = 1
    with pytest.raises(ValueError, match="frozen"):
        design.learning.rate = 0.5


def test_replace_validates_anew_and_leaves_the_original():
    design = Design.parse(SMALL)
    changed = design.replace(hardware={"lanes": 4}, seed=7)
    assert (changed.hardware.lanes, changed.seed, design.hardware.lanes, design.seed) == (4, 7, 16, 0)
    with pytest.raises(DesignError, match=r"hardware\.lanes: .*\(got 5\)"):
        design.replace(hardware={"lanes": 5})


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
def test_table_is_read_back_the_same(path):
    design = Design.load(path)
    assert Design.parse(design.table()) == design


def test_numerics_hash_depends_on_network_and_numerics_only():
    design = Design.parse(SMALL)
    same = [{"seed": 1}, {"learning": {"rate": 0.5}}, {"hardware": {"lanes": 1}}, {"data": {"train": 5}}, {"name": "b"}]
    other = [{"network": {"beta": 0.5}}, {"network": {"layers": (4, 4, 2)}}, {"numerics": {"error": "q1.3"}}]
    assert {design.replace(**change).numerics_hash() for change in same} == {design.numerics_hash()}
    assert len({design.replace(**change).numerics_hash() for change in other} | {design.numerics_hash()}) == 4


# Reference designs ----------------------------------------------------------------------------------------------------


def test_reference_designs_are_there():
    assert [path.parent.name for path in FILES] == ["digits", "mnist", "residual", "tiny", "wide"]


OPTIONAL = {
    *("feedback", "scales", "block", "start", "probability", "graph_seed", "adjacency"),
    *("optimizer", "momentum", "layer_rates", "weight_noise", "state_noise"),
}
"""Keys that only other topologies or only the float model read."""


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
def test_reference_design_is_named_after_its_folder_and_spells_out_every_key(path):
    design = Design.load(path)
    assert design.name == path.parent.name
    written = tomllib.loads(path.read_text())
    whole = design.table()
    assert set(written) == set(whole)
    for section in ("network", "numerics", "learning", "hardware"):
        assert set(written[section]) >= set(whole[section]) - OPTIONAL, section
    assert set(written["numerics"]["activation"]) == set(whole["numerics"]["activation"])


@pytest.mark.parametrize("name", ["digits", "tiny"])
def test_reference_design_fits_its_data(name):
    design = Design.load(next(path for path in FILES if path.parent.name == name))
    dataset = load(design)
    assert dataset.train_inputs.shape[1] == design.network.layers[0]
    assert len(dataset.train_labels) == (design.data.train or 1437)
