"""Smaller numbers: what a file of them holds, what is refused, and the stages that are named for it."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
from ai_edge_litert.interpreter import Interpreter

import zoo
from tests.tiny import pixels
from zoo.errors import ContractError, NotFoundError, ZooError
from zoo.export.exporting import export_run
from zoo.export.quantizing import Compared, Trial, refuse_loss
from zoo.export.writing import Quantizing, described
from zoo.inference.export_folder import Proof, read_export
from zoo.registry.exports import EXPORTS
from zoo.report.progress import SilentDisplay
from zoo.runs.folder import RunFolder


@pytest.fixture(scope="module")
def smaller(finished, tmp_path_factory):
    """The run in int8 and float16, proved."""
    folder = tmp_path_factory.mktemp("smaller")
    named = [("litert", "int8"), ("onnx", "int8"), ("litert", "float16"), ("onnx", "float16"), ("openvino", "float16")]
    return {
        (name, to): export_run(finished.run.path, name, quantize=to, out=folder / f"{name}-{to}") for name, to in named
    }


def size(export):
    return sum((export.path / name).stat().st_size for name in export.document.files)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "to", "share"),
    [
        ("litert", "int8", 4),
        ("onnx", "int8", 4),
        ("litert", "float16", 2),
        ("onnx", "float16", 2),
        ("openvino", "float16", 2),
    ],
)
def test_an_export_is_smaller_and_loses_nothing_of_a_clear_case(smaller, finished, name, to, share):
    made = smaller[name, to]
    assert (made.document.quantize, made.document.in_float) == (to, ())
    assert made.document.proof.disagreements == 0
    assert made.document.proof.accuracy == finished.run.metrics["accuracy"]
    # 141,000 parameters of four bytes, and up to 40 kB that say how they belong together.
    whole = 4 * finished.run.model.count_params()
    assert whole / share < size(made) < whole / share + 60_000
    assert read_export(made.path).open()(np.zeros((3, 28, 28, 1), np.uint8)).dtype == np.float32


@pytest.mark.slow
def test_int8_has_a_scale_for_each_channel_of_every_convolution(smaller):
    model = onnx.load(smaller["onnx", "int8"].path / "model.onnx")
    sizes = {one.name: list(one.dims) for one in model.graph.initializer}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    assert len(convolutions) == 5
    numbers = {one.name: onnx.numpy_helper.to_array(one) for one in model.graph.initializer}
    dequantized = {node.output[0]: node for node in model.graph.node if node.op_type == "DequantizeLinear"}
    for node in convolutions:
        of_weights = dequantized[node.input[1]]
        assert sizes[of_weights.input[1]] == [sizes[of_weights.input[0]][0]]
        # Two products of such and of an activation fit 16 bits: 2 * 255 * 64 = 32,640.
        assert abs(numbers[of_weights.input[0]].astype(int)).max() == 64
    interpreter = Interpreter(str(smaller["litert", "int8"].path / "model.tflite"))
    kernels = [one for one in interpreter.get_tensor_details() if one["dtype"] == np.int8 and len(one["shape"]) == 4]
    scales = [len(one["quantization_parameters"]["scales"]) for one in kernels if one["shape"][1] in (3, 5)]
    assert sorted(scales) == [32, 32, 64, 64, 128]


@pytest.mark.parametrize("name", [pytest.param("litert", marks=pytest.mark.slow), "onnx"])
def test_a_stage_that_stays_in_float_has_its_kernels_in_float32(finished, name, tmp_path):
    made = export_run(finished.run.path, name, quantize="int8", in_float=["stem"], out=tmp_path / "out")
    assert made.document.in_float == ("stem",)
    if name == "onnx":
        model = onnx.load(made.path / "model.onnx")
        kernels = {tuple(one.dims): one.data_type for one in model.graph.initializer if len(one.dims) == 4}
        found = {shape[:2]: kind == onnx.TensorProto.FLOAT for shape, kind in kernels.items()}
    else:
        details = Interpreter(str(made.path / "model.tflite")).get_tensor_details()
        kernels = {
            tuple(one["shape"]): one["dtype"] for one in details if len(one["shape"]) == 4 and one["shape"][1] in (3, 5)
        }
        found = {(shape[0], shape[3]): kind == np.float32 for shape, kind in kernels.items()}
    assert found == {(32, 1): True, (32, 32): False, (64, 32): False, (64, 64): False, (128, 64): False}


@pytest.fixture(scope="module")
def images():
    found, _ = pixels(64, seed=9)
    return found[..., None]


@pytest.fixture(scope="module")
def outlier(finished, images):
    """The run's model with a channel a million times as large, which the next convolution divides by as much.

    In float32 each of its channels counts. In int8 one scale holds for all of them, and nothing is left of the others.
    """
    model = zoo.load(finished.run.path).model
    batchnorm, convolution = model.get_layer("stage1_1_bn"), model.get_layer("stage2_1_conv")
    gamma, beta, mean, variance = batchnorm.get_weights()
    (kernel,) = convolution.get_weights()
    gamma[0], beta[0] = 1e6 * (abs(gamma[0]) + 0.1), 1e6
    kernel[:, :, 0] /= 1e6
    batchnorm.set_weights([gamma, beta, mean, variance])
    convolution.set_weights([kernel])
    # Half of the images are of each class then.
    likely = np.asarray(model(images, training=False))
    classifier = model.get_layer("classifier")
    weights, bias = classifier.get_weights()
    bias[0] -= np.median(np.log(likely[:, 0] / likely[:, 1]))
    classifier.set_weights([weights, bias])
    return model


@pytest.fixture(scope="module")
def trial(finished, outlier, images):
    # Of the images those that are clearest: others are of another class after any rounding.
    images = images[np.argsort(np.asarray(outlier(images, training=False))[:, 0])][[*range(16), *range(-16, 0)]]
    row = EXPORTS.lookup("onnx")
    return Trial(
        row=row,
        model=outlier,
        document=described(RunFolder(finished.run.path), outlier, row),
        quantizing=Quantizing(to="int8", photos=lambda: (one[None] for one in images)),
    ), Compared(pixels=images, labels=np.asarray(outlier(images, training=False)).argmax(axis=1))


def test_the_stages_that_cost_most_are_found_and_keeping_them_in_float_costs_little(trial):
    tried, compared = trial
    assert compared.share_right(tried.probabilities(compared, [])) < 0.9
    found = tried.costly(compared, SilentDisplay())
    # The large channel is what stage1 gives and stage2 takes.
    assert set(found.offered) == set(found.stages[:2]) == {"stage1", "stage2"}
    assert found.left == 0
    assert compared.share_right(tried.probabilities(compared, found.offered)) == 1


def test_a_loss_of_more_than_half_a_point_is_refused_with_the_stages_and_an_offer(trial):
    tried, compared = trial
    proof = Proof(
        photos=1000,
        disagreements=30,
        largest_difference=0.4,
        accuracy=0.9,
        accuracy_of_keras=0.905,
        tolerance=1.0,
        runtime="onnxruntime 1.32.0",
        split="test",
    )
    refuse_loss(proof, tried, lambda: compared, display=SilentDisplay())  # half a point is not more than half a point
    with pytest.raises(ContractError) as refused:
        refuse_loss(replace(proof, accuracy=0.899), tried, lambda: compared, display=SilentDisplay())
    said = str(refused.value)
    assert said.startswith(
        "format 'onnx' in int8 loses 0.6 points of accuracy on 1,000 test photos (90.5 % to 89.9 %); expected at "
        "most 0.5 points; most is lost in "
    )
    assert said.endswith(("; --in-float stage1,stage2 loses 0.0 points", "stage2,stage1 loses 0.0 points"))


@pytest.mark.parametrize(
    ("name", "options", "fault", "says"),
    [
        ("keras", {"quantize": "int8"}, ZooError, "format 'keras' has no int8; expected one that has: onnx, litert"),
        (
            "openvino",
            {"quantize": "int8"},
            ZooError,
            "format 'openvino' has no int8; expected one that has: onnx, litert",
        ),
        ("onnx", {"in_float": ["stem"]}, ZooError, "in_float keeps stages in float32 where others become smaller"),
        (
            "onnx",
            {"quantize": "float16", "in_float": ["stm"]},
            NotFoundError,
            "model 'mnist_conv_tiny' has no stage 'stm'. Did you mean 'stem'? It has: stem, ",
        ),
    ],
)
def test_what_a_format_or_a_model_does_not_have_is_refused(trained, tmp_path, name, options, fault, says):
    with pytest.raises(fault) as refused:
        export_run(trained.run, name, out=tmp_path / "out", **options)
    assert says in str(refused.value)
