"""Detectors of Darknet that are brought in with their .cfg: it is read, and it decides."""

import pytest
import torch

from tests.workers.detect.desk import Desk
from tests.workers.detect.test_import_tasks import PICTURE, pack_darknet, refuse
from workers.detect.darknet_cfg import Cfg, parse_cfg
from workers.detect.import_tasks import bring_in
from workers.detect.model import ANCHORS, YoloV3Tiny
from workers.detect.model_contract import ImportRequest
from workers.detect.objects_contract import ObjectsRequest
from workers.detect.objects_tasks import objects

YOLO = """
[yolo]
mask = 3,4,5
anchors = 10,14,  23,27,  37,58,  81,82,  135,169,  344,319
classes=2
num=6
"""
CFG = (
    """# of Darknet's yolov3-tiny.cfg
[net]
batch=1 ; comment
width=416
height=416

[convolutional]
filters=21
"""
    + YOLO
    + "[route]\nlayers = -4\n"
    + YOLO.replace("3,4,5", "1,2,3")
)


def bring(desk: Desk, network: YoloV3Tiny, cfg: str, **fields):
    """The detector that comes of it, as it is served."""
    files = {"file": desk.add(pack_darknet(network)), "cfg": desk.add(cfg.encode())}
    asked = ImportRequest(kind="darknet", classes=["cat", "dog"], **files, **fields)
    result = desk.do(bring_in, asked)
    return result, desk.worker.detectors.open(desk.tenant, result.model)


def test_masks_say_which_anchors_each_grid_has():
    assert parse_cfg(CFG) == Cfg(2, ANCHORS, 416)  # of the published weights
    later = parse_cfg(CFG.replace("1,2,3", "0,1,2"))
    assert later.anchors == ((10, 14), *ANCHORS[:2], *ANCHORS[3:])


def test_a_network_has_the_anchors_and_the_side_of_its_cfg(sqlite_desk: Desk):
    torch.manual_seed(0)
    network = YoloV3Tiny(classes=2).eval()
    cfg = CFG.replace("416", "224").replace("1,2,3", "0,1,2").replace("\n", "\r\n")
    result, served = bring(sqlite_desk, network, cfg, bordered=False, score_threshold=0)
    assert (result.side, served.side, served.bordered) == (224, 224, False)
    x = torch.rand(1, 3, 224, 224)
    network.anchors = ((10, 14), *ANCHORS[:2], *ANCHORS[3:])
    with torch.inference_mode():
        for found, same in zip(served.network.predict(x), network.predict(x), strict=True):
            assert torch.allclose(found, same, rtol=1e-3, atol=1e-3)
    assert found.shape == (1, 3 * (7 * 7 + 14 * 14), 2)
    request = ObjectsRequest(picture=sqlite_desk.add(PICTURE), model=result.model)
    assert sqlite_desk.do(objects, request).boxes


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("height=416", "height=320", "pictures of 416 x 320"),
        ("416", "400", "a multiple of 32"),
        ("416", "928", "up to 896"),
        ("416", "0", "pictures of 0 x 0"),
        ("width=416", "", "no whole numbers as its width: ''"),
        ("classes=2", "classes=3", "of 3 classes, not 2"),
        ("classes=2", "classes=two", "no whole numbers as its classes: 'two'"),
        ("1,2,3", "4,5,6", "a mask of the .cfg names anchors that it has not"),
        ("1,2,3", "1,2", "has 2 numbers as its mask, not 3"),
        ("1,2,3", "1" * 90_000, "no whole numbers as its mask"),
        ("10,14", "10,14,9", "a mask of the .cfg names anchors"),
        ("23,27", "0,27", "between 1 and 4096"),
        ("num=6", "scale_x_y=1.05", "scale_x_y"),
        ("num=6", "new_coords=1", "new_coords"),
        ("[route]", "[yolo]", "two [yolo]"),
        ("[net]", "[not]", "one section [net]"),
    ],
    ids=lambda part: part[:20],
)
def test_a_cfg_of_another_network_is_refused(old, new, why, sqlite_desk: Desk):
    cfg = sqlite_desk.add(CFG.replace(old, new).encode())
    network = pack_darknet(YoloV3Tiny(classes=2))
    told = refuse(sqlite_desk, network, kind="darknet", classes=["a", "b"], cfg=cfg)
    assert why in told
    assert len(told) < 300


def test_two_numbers_of_classes_are_refused():
    with pytest.raises(ValueError, match="two numbers of classes"):
        parse_cfg(CFG.replace("classes=2", "classes=3", 1))


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"[yolo]" * 9, b"=\n[\n]\n[]"])
def test_what_is_no_cfg_is_refused(content, sqlite_desk: Desk):
    network = pack_darknet(YoloV3Tiny(classes=1))
    cfg = sqlite_desk.add(content)
    assert ".cfg" in refuse(sqlite_desk, network, kind="darknet", classes=["a"], cfg=cfg)


def test_a_cfg_longer_than_allowed_is_refused(sqlite_desk: Desk):
    cfg = sqlite_desk.add(b"#" * 100_001)
    asked = ImportRequest(kind="darknet", classes=["a"], file=cfg, cfg=cfg)
    code, why = sqlite_desk.refuse(bring_in, asked)
    assert (code, "at most 100000 bytes" in why) == ("too_large", True)


def test_anchors_are_told_once(sqlite_desk: Desk):
    fields = {"classes": ["a", "b"], "anchors": [[1, 1]] * 6, "cfg": sqlite_desk.add(CFG.encode())}
    network = pack_darknet(YoloV3Tiny(classes=2))
    assert "leave anchors out" in refuse(sqlite_desk, network, kind="darknet", **fields)
