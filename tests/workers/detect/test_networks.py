"""Published detectors by name: each is loaded ready to use and answers in the same form."""

from typing import get_args

import pytest
import torch

from shared.weights import MissingWeights
from workers.detect.fields import SCORE_THRESHOLDS, Published
from workers.detect.networks import LABELS, PUBLISHED, load_published
from workers.detect.process import Fit, letterbox, stack
from workers.detect.suppression import Suppression, suppress
from workers.runtime.images import decode

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_detector_finds_the_man_of_a_portrait_at_its_own_threshold(name, weights, photo):
    picture = decode(photo("obama.jpg"))
    fit = Fit.of(*picture.size, 416)
    with torch.inference_mode():
        boxes, scores = load_published(name, weights).predict(stack([letterbox(picture, fit)], CPU))
    labels = (weights / LABELS).read_text().splitlines()
    assert scores.shape == (1, boxes.shape[1], len(labels))
    kept, _, classes = suppress(boxes[0], scores[0], Suppression(SCORE_THRESHOLDS[name]))
    person = fit.to_picture(kept[classes == labels.index("person")])
    assert len(person) == 1
    left, top, right, bottom = person[0].tolist()
    assert (right - left) * (bottom - top) > picture.width * picture.height / 2


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_loaded_detector_has_nothing_left_to_normalise_by_the_batch(name, weights):
    network = load_published(name, weights)
    assert not network.training
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in network.modules())


@pytest.mark.parametrize("name", PUBLISHED)
def test_missing_files_are_said_by_the_command_that_fetches_them(name, tmp_path):
    with pytest.raises(MissingWeights, match=f"atelier weights pull {name}"):
        load_published(name, tmp_path)


def test_each_network_that_can_be_asked_for_is_there():
    assert set(PUBLISHED) == set(get_args(Published)) == set(SCORE_THRESHOLDS)
