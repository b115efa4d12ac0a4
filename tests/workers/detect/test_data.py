"""The labelled pictures that a job is given."""

import pytest

from shared.identifiers import new_id
from tests.workers.detect.desk import Desk
from tests.workers.detect.labelled_files import COCO, VOC, YOLO, make_xml, make_zip
from workers.detect import labelled, read_labelled
from workers.detect.data import open_data
from workers.detect.training_contract import TrainRequest
from workers.runtime import spooled_data
from workers.runtime.run import Cancelled, InvalidInput, TooLarge


def ask(desk: Desk, files: dict, **values: object) -> TrainRequest:
    return TrainRequest(data=desk.add(make_zip(files).getvalue()), **values)


def test_the_pictures_of_a_zip_can_be_opened(desk: Desk):
    with open_data(desk.worker, desk.make(ask(desk, VOC))) as found:
        assert found.names == ("cat", "dog")
        assert [one.open().size for one in found.pictures] == [(100, 80)] * 3


def test_of_several_formats_the_one_asked_for_counts(sqlite_desk: Desk):
    both = COCO | {"train2017/a.xml": make_xml()}
    asked = ask(sqlite_desk, both, format="coco")
    with open_data(sqlite_desk.worker, sqlite_desk.make(asked)) as found:
        assert len(found.pictures) == 2


def test_followers_see_how_many_pictures_were_looked_at(sqlite_desk: Desk, monkeypatch):
    monkeypatch.setattr(spooled_data, "REPORT_EVERY", 0.0)
    with open_data(sqlite_desk.worker, sqlite_desk.make(ask(sqlite_desk, YOLO))):
        pass
    steps = [(event["fraction"], event["step"]) for event in sqlite_desk.steps]
    assert steps == [(0.0, f"looking at picture {number} of 3") for number in (1, 2, 3)]


def test_many_pictures_do_not_flood_the_followers(sqlite_desk: Desk):
    with open_data(sqlite_desk.worker, sqlite_desk.make(ask(sqlite_desk, YOLO))):
        pass
    assert len(sqlite_desk.steps) == 1  # of 3 pictures in much less than half a second


def test_it_can_be_cancelled_while_pictures_are_looked_at_and_when_one_is_opened(
    sqlite_desk: Desk, monkeypatch
):
    monkeypatch.setattr(spooled_data, "REPORT_EVERY", 0.0)
    run = sqlite_desk.make(ask(sqlite_desk, YOLO))
    run.stop_requested = lambda: len(sqlite_desk.steps) == 2
    with pytest.raises(Cancelled), open_data(sqlite_desk.worker, run):
        pass
    run.stop_requested = lambda: False
    with open_data(sqlite_desk.worker, run) as found:
        run.stop_requested = lambda: True
        with pytest.raises(Cancelled):
            found.pictures[0].open()


@pytest.mark.parametrize("files", [VOC, COCO, YOLO])
def test_it_can_be_cancelled_while_labels_are_read(sqlite_desk: Desk, files: dict):
    run = sqlite_desk.make(ask(sqlite_desk, files))
    looked: list[int] = []

    def stop() -> bool:
        looked.append(1)
        return len(looked) > 2  # once while it is written to the disk, once for the first file

    run.stop_requested = stop
    with pytest.raises(Cancelled), open_data(sqlite_desk.worker, run):
        pass
    assert sqlite_desk.steps == []


def test_a_file_that_is_gone_or_another_tenants_is_refused(desk: Desk):
    request = ask(desk, VOC)
    stranger = Desk(desk.worker)
    missing = TrainRequest(data=new_id())
    for run in (stranger.make(request), desk.make(missing)):
        with (
            pytest.raises(InvalidInput, match=r"is gone\. Upload it again"),
            open_data(desk.worker, run),
        ):
            pass


def test_what_is_too_large_is_refused(sqlite_desk: Desk, monkeypatch):
    run = sqlite_desk.make(ask(sqlite_desk, VOC))
    for module, limit in (
        (read_labelled, "MAX_FILES"),
        (read_labelled, "MAX_BYTES"),
        (labelled, "MAX_PIXELS"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(module, limit, 5)
            with pytest.raises(TooLarge), open_data(sqlite_desk.worker, run):
                pass
