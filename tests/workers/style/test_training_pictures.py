"""What a training shows, and how a network that is of no use is known."""

import pytest
import torch
from PIL import Image

from tests.workers.style.desk import draw_noise, draw_scene, draw_stripes
from tests.workers.style.small_trainings import make_contents
from workers.runtime.run import Cancelled, InvalidInput
from workers.style.one_pass import OnePass, OnePassConfig
from workers.style.training_pictures import Samples
from workers.style.training_tasks import check_painter

MANY = make_contents(*[draw_scene(40 + 4 * n, 40) for n in range(9)])


@pytest.fixture
def network() -> OnePass:
    torch.manual_seed(0)
    return OnePass(OnePassConfig(4, 1)).eval()


def test_three_pictures_are_spread_over_all():
    samples = Samples(draw_stripes(), MANY)
    widths = [picture.width / picture.height for picture in samples.pictures]
    assert widths == pytest.approx([40 / 40, 56 / 40, 72 / 40], rel=0.01)
    assert len(Samples(draw_stripes(), make_contents(draw_scene())).pictures) == 1


def test_the_style_is_above_pictures_and_what_is_painted(network):
    samples = Samples(draw_stripes(), make_contents(draw_scene(64, 64)))
    sheet = samples.draw(network)
    left, right = (sheet.crop((x, 328, x + 320, 648)) for x in (8, 336))
    assert left.tobytes() == samples.pictures[0].tobytes()
    [painted] = samples.paint(network)
    assert right.tobytes() == painted.tobytes()
    top = sheet.crop((172, 0, 492, 320))
    assert top.tobytes() == samples.style.tobytes()


def test_drawing_can_be_stopped(network):
    def stop() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        Samples(draw_stripes(), MANY).draw(network, stop)


def test_a_network_that_paints_one_colour_is_refused(network):
    samples = Samples(draw_stripes(), MANY)
    check_painter(network, samples)
    with torch.no_grad():
        network.head.weight.zero_()
    with pytest.raises(InvalidInput, match="paints every picture in one colour"):
        check_painter(network, samples)


def test_of_pictures_of_one_colour_it_may_paint_one(network):
    with torch.no_grad():
        network.head.weight.zero_()
    check_painter(network, Samples(draw_noise(), make_contents(Image.new("RGB", (40, 40), "red"))))


def test_weights_that_are_no_numbers_are_refused(network):
    with torch.no_grad():
        network.head.bias[0] = torch.nan
    with pytest.raises(InvalidInput, match="no numbers any more"):
        check_painter(network, Samples(draw_stripes(), MANY))
