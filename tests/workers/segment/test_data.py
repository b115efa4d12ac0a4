"""The pictures and masks that a job is given."""

import pytest

from shared.identifiers import new_id
from tests.workers.file_sets import make_zip
from tests.workers.segment.desk import Desk
from tests.workers.segment.mask_files import FOLDERS, LISTS, VOC
from workers.runtime import spooled_data
from workers.runtime.run import Cancelled, InvalidInput, TooLarge
from workers.segment import labelled, read_labelled
from workers.segment.data import open_data
from workers.segment.training_contract import TrainRequest


def ask(desk: Desk, files: dict, **values: object) -> TrainRequest:
    return TrainRequest(data=desk.add(make_zip(files).getvalue()), **values)


def test_the_pictures_of_a_zip_can_be_opened(desk: Desk):
    with open_data(desk.worker, desk.make(ask(desk, VOC))) as found:
        assert len(found.classes) == 21
        assert [one.open().size for one in found.pictures] == [(12, 8)] * 2


@pytest.mark.parametrize(("files", "count"), [(VOC, 1), (LISTS, 0), (FOLDERS, 0)])
def test_pictures_without_a_mask_are_counted(sqlite_desk: Desk, files: dict, count: int):
    with open_data(sqlite_desk.worker, sqlite_desk.make(ask(sqlite_desk, files))) as found:
        assert (found.without_mask, len(found.pictures)) == (count, 2)


def test_of_several_formats_the_one_asked_for_counts(sqlite_desk: Desk):
    asked = ask(sqlite_desk, {**VOC, **LISTS}, format="voc")
    with open_data(sqlite_desk.worker, sqlite_desk.make(asked)) as found:
        assert len(found.classes) == 21


def test_followers_see_how_many_pictures_were_looked_at(sqlite_desk: Desk, monkeypatch):
    monkeypatch.setattr(spooled_data, "REPORT_EVERY", 0.0)
    with open_data(sqlite_desk.worker, sqlite_desk.make(ask(sqlite_desk, VOC))):
        pass
    steps = [(event["fraction"], event["step"]) for event in sqlite_desk.steps]
    assert steps == [(0.0, f"looking at picture {number} of 2") for number in (1, 2)]


def test_it_can_be_cancelled_while_pictures_are_looked_at_and_when_one_is_opened(
    sqlite_desk: Desk, monkeypatch
):
    monkeypatch.setattr(spooled_data, "REPORT_EVERY", 0.0)
    run = sqlite_desk.make(ask(sqlite_desk, VOC))
    run.stop_requested = lambda: len(sqlite_desk.steps) == 2
    with pytest.raises(Cancelled), open_data(sqlite_desk.worker, run):
        pass
    run.stop_requested = lambda: False
    with open_data(sqlite_desk.worker, run) as found:
        run.stop_requested = lambda: True
        with pytest.raises(Cancelled):
            found.pictures[0].open()
        with pytest.raises(Cancelled):
            found.pictures[0].open_mask(found.classes)


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
            patch.setattr(module, limit, 1)
            with pytest.raises(TooLarge), open_data(sqlite_desk.worker, run):
                pass
