"""The drawing of paper B's network: a box for each part that there is, with the sizes that the network has."""

from covid_study.figures import network
from covid_study.networks import deep_supervision
from covid_study.tables.b3_b4_networks import stages


def test_every_part_of_the_network_is_drawn_once():
    found = stages("mobilenet_v2", 96)
    fig = network.deeply_supervised(found, 96, "MobileNet-V2")
    (ax,) = fig.axes
    texts = [text.get_text() for text in ax.texts]
    assert len(ax.patches) == 1 + 3 * len(found) + 2 + 1  # the slice; stages; the end and its loss; the sum
    for stage in found.itertuples():
        assert sum(f"{stage.parameters:,} parameters" in text for text in texts) >= 1
        assert any(f"{stage.pixels} × {stage.pixels}, {stage.channels} channels" in text for text in texts)


def test_stages_are_those_of_figure_2_and_their_classifiers_what_table_4_counts():
    vgg = stages("vgg16_bn", 224)
    assert vgg["layers"].tolist() == [2, 2, 3, 3, 3]
    assert vgg["channels"].tolist() == [64, 128, 256, 512, 512]
    for name in ("vgg16_bn", "resnet50", "densenet169"):
        counted = deep_supervision.sizes(name)
        assert stages(name, 64)["parameters"].sum() == counted["dsn"] - counted["baseline"]
