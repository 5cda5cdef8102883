"""Nearest names."""

from ticketsmith.engine.suggest import nearest, unknown


def test_the_nearest_come_first_in_any_case() -> None:
    assert nearest("ResNet80", ["vgg16", "resnet18", "resnet50"])[0].startswith("resnet")
    assert nearest("MNIST", ["Mnist", "cifar10"]) == ["Mnist"]
    assert nearest("zzz", ["mnist"]) == []


def test_all_are_named_when_none_is_near() -> None:
    assert str(unknown("a.b", "zzz", ["y", "x"])) == "a.b 'zzz' is unknown: choose one of x, y"
    assert "did you mean mnist?" in str(unknown("a.b", "mnits", ["mnist", "cifar10"]))
