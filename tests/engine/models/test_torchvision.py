"""Any classifier of torchvision, and weights from files."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from ticketsmith.engine import models
from ticketsmith.engine.models import vision
from ticketsmith.experiment.problems import BadSpec
from ticketsmith.experiment.spec import ModelSpec

COLOUR = (3, 64, 64)


def kept(network: nn.Module, file: Path) -> str:
    save_file(network.state_dict(), file)
    return str(file)


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "SqueezeNet1_0", "regnet_y_400mf"])
def test_any_classifier_is_built_for_the_data(name: str) -> None:
    with torch.device("meta"):
        network = models.build(ModelSpec(name=f"torchvision:{name}"), COLOUR, 7)
        assert network.eval()(torch.empty(2, *COLOUR)).shape == (2, 7)


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_side_exits_are_left_out(name: str) -> None:
    with torch.device("meta"):
        network = models.build(ModelSpec(name=f"torchvision:{name}"), (3, 128, 128), 7)
        assert network.train()(torch.empty(2, 3, 128, 128)).shape == (2, 7)


@pytest.mark.parametrize(
    ("name", "shape"), [("vit_b_16", COLOUR), ("inception_v3", COLOUR), ("alexnet", (3, 32, 32))]
)
def test_images_it_cannot_take_are_refused(name: str, shape: tuple[int, int, int]) -> None:
    with pytest.raises(BadSpec, match=rf"'{name}' cannot take images of .*dataset\.options\.size"):
        models.check(ModelSpec(name=f"torchvision:{name}"), shape, 10)


def test_an_option_reaches_the_net() -> None:
    spec = ModelSpec(name="torchvision:vit_b_16", options={"image_size": 64})
    models.check(spec, COLOUR, 10)


def test_weights_of_a_file_are_put_in(tmp_path: Path) -> None:
    torch.manual_seed(1)
    source = models.build(ModelSpec(name="resnet20"), (3, 32, 32), 10)
    with torch.no_grad():
        source.get_buffer("bn1.running_mean").add_(3)
    file = kept(source, tmp_path / "w.safetensors")
    torch.manual_seed(2)
    for weights in (file, Path(file).as_uri()):
        spec = ModelSpec(name="resnet20", weights=weights)
        models.check(spec)
        loaded = models.build(spec, (3, 32, 32), 10).state_dict()
        assert all(torch.equal(loaded[key], value) for key, value in source.state_dict().items())


def test_weights_that_do_not_fit_are_refused_by_name(tmp_path: Path) -> None:
    torch.manual_seed(1)
    source = models.build(ModelSpec(name="lenet300"), (1, 28, 28), 10)
    file = kept(source, tmp_path / "w.safetensors")
    spec = ModelSpec(name="lenet300", weights=file)
    with pytest.raises(BadSpec, match=r"fc1\.weight in the shape \[300, 784\].*\[300, 64\]"):
        models.build(spec, (1, 8, 8), 10)
    with pytest.raises(BadSpec, match=r"lacks the tensor conv1\.bias"):
        models.build(ModelSpec(name="lenet5", weights=file), (1, 28, 28), 10)
    save_file({**source.state_dict(), "fc4.weight": torch.zeros(1)}, file)
    with pytest.raises(BadSpec, match=r"a tensor fc4\.weight"):
        models.build(spec, (1, 28, 28), 10)
    Path(file).write_bytes(b"damaged")
    with pytest.raises(BadSpec, match=r"w\.safetensors' cannot be read"):
        models.build(spec, (1, 28, 28), 10)


def test_pretrained_weights_keep_a_new_head_where_classes_differ(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.manual_seed(1)
    pretrained = models.build(ModelSpec(name="resnet18"), COLOUR, 1000).state_dict()
    pretrained.pop("bn1.num_batches_tracked")  # old files lack it
    monkeypatch.setattr(vision, "default_weights", lambda name: dict(pretrained))
    spec = ModelSpec(name="resnet18", weights="DEFAULT")
    models.check(spec)
    torch.manual_seed(2)
    fresh = models.build(ModelSpec(name="resnet18"), COLOUR, 10).state_dict()
    torch.manual_seed(2)
    tuned = models.build(spec, COLOUR, 10).state_dict()
    for key, value in tuned.items():
        expected = fresh if key.startswith("fc.") or key not in pretrained else pretrained
        assert torch.equal(value, expected[key]), key
    full = models.build(spec, COLOUR, 1000).state_dict()
    assert torch.equal(full["fc.weight"], pretrained["fc.weight"])
    pretrained.pop("layer1.0.conv1.weight")
    with pytest.raises(BadSpec, match=r"lacks the tensor layer1\.0\.conv1\.weight"):
        models.build(spec, COLOUR, 10)


def test_pretrained_weights_that_cannot_be_downloaded_are_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*_args: object, **_kwargs: object) -> None:
        raise OSError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.download_url_to_file", refuse)
    spec = ModelSpec(name="resnet18", weights="DEFAULT")
    with pytest.raises(BadSpec, match=r"model\.weights DEFAULT of resnet18 .*no network"):
        models.build(spec, COLOUR, 10)
