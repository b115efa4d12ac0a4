"""The toy example is read from each of its formats: made up here, with one cat and one dog."""

import json
from pathlib import Path

import pytest
from PIL import Image

from bench.detect_toy import judge, run
from bench.options import Options

XML = (
    "<annotation><filename>a.jpg</filename><object><name>cat</name><bndbox><xmin>21</xmin>"
    "<ymin>31</ymin><xmax>60</xmax><ymax>70</ymax></bndbox></object></annotation>"
)
ROWS = {
    "abs_xyx2y2": "0.9 21 31 60 70",
    "abs_xywh": "0.9 21 31 39 39",
    "rel_xcycwh": "0.9 0.2025 0.505 0.195 0.39",  # of 200 x 100
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "voc.names").write_text("dog\ncat\n")
    for form, row in ROWS.items():
        for kind, own, other in (("classname", "cat", "dog"), ("classid", "1", "0")):
            folder = tmp_path / f"dets_{kind}_{form}"
            folder.mkdir()
            (folder / "a.txt").write_text(f"{own} {row}\n{other} {row}\n")
    one = {"image_id": 4, "category_id": 2, "score": 0.9, "bbox": [21, 31, 39, 39]}
    content = {
        "images": [{"id": 4, "file_name": "a.jpg"}],
        "categories": [{"id": 2, "name": "cat"}, {"id": 3, "name": "dog"}],
        "annotations": [one, {**one, "category_id": 3}],
    }
    (tmp_path / "dets_coco_format").mkdir()
    (tmp_path / "dets_coco_format" / "coco_dets.json").write_text(json.dumps(content))
    (tmp_path / "gts").mkdir()
    (tmp_path / "gts" / "a.xml").write_text(XML)
    Image.new("RGB", (200, 100)).save(tmp_path / "gts" / "a.jpg")
    return tmp_path


def make_options(data: Path | None) -> Options:
    return Options("detect_toy", quick=False, seconds=1, repeats=1, only=(), data=data)


def test_a_box_in_each_format_is_the_same_box(data: Path) -> None:
    report = run(make_options(data))
    assert len(report.rows) == 6
    for row in report.rows[:4]:
        assert (row["ours"], row["other formats"], row["as edges"]) == (1, 1, 1)
    assert [row["as edges"] for row in report.rows[4:]] == pytest.approx([1, 1])
    assert report.notes[0] == "Published figures met: 0 of 4."  # they are of other boxes


def test_one_format_that_differs_is_a_figure_missed(data: Path) -> None:
    (data / "dets_classid_abs_xywh" / "a.txt").write_text("1 0.9 100 31 39 39\n")
    report = run(make_options(data))
    assert {(row["ours"], row["other formats"]) for row in report.rows[:4]} == {(1, 0)}


def test_a_figure_is_met_if_all_formats_give_it() -> None:
    row = {"published": 0.8864, "ours": 0.88636, "other formats": 0.88636}
    assert judge([row], [])[0] == "Published figures met: 1 of 1."
    assert judge([{**row, "other formats": 0.8863}], [])[0] == "Published figures met: 0 of 1."


def test_without_the_data_it_says_what_it_needs() -> None:
    with pytest.raises(SystemExit, match="--data"):
        run(make_options(None))
