"""Collections belong to their tenant, their changes have one order, and searches are counted."""

import time

import pytest
from sqlalchemy import delete, update

from shared.db import Sessions
from shared.face_tables import Face, FaceCollection, FaceSearches
from tests.races import do_at_once, do_in_turn
from tests.workers.faces.site import add_collection, add_faces, reread, set_expiry
from workers.faces.gallery import (
    change_collection,
    charge_searches,
    count_expiring,
    count_searches,
    count_subjects,
    create_collection,
    find_collection,
    list_collections,
    list_faces,
    name_faces,
    plan_collection,
    read_collection,
    take_turn,
)
from workers.faces.refusals import CollectionExists, QuotaExceeded, UnknownCollection

QUOTA = 10


def charge(sessions: Sessions, probes: int, tenant: str = "ann") -> None:
    with sessions.begin() as session:
        charge_searches(session, tenant, probes, QUOTA)


def used(sessions: Sessions, tenant: str = "ann") -> int:
    with sessions.read() as session:
        return count_searches(session, tenant)


def drop(sessions: Sessions, collection) -> None:
    with sessions.begin() as session:
        session.execute(delete(FaceCollection).where(FaceCollection.id == collection.id))


def test_a_collection_is_found_as_it_was_made(sessions: Sessions):
    made = add_collection(sessions, "a", description="é\n🙂", retention=60.0, target_fpir=0.001)
    assert reread(sessions, made) == made
    with sessions.read() as session:
        assert read_collection(session, made.id) == made
        assert read_collection(session, "0" * 32) is None


def test_a_name_is_taken_once_in_each_tenant(sessions: Sessions):
    mine, theirs = add_collection(sessions), add_collection(sessions, tenant="bob")
    with pytest.raises(CollectionExists, match=r"'staff' already. Choose another name"):
        add_collection(sessions)
    add_collection(sessions, "Staff")
    with sessions.read() as session:
        assert [item.name for item in list_collections(session, "ann")] == ["Staff", "staff"]
        assert list_collections(session, "bob") == [theirs]
    drop(sessions, mine)
    assert add_collection(sessions).id != mine.id


def test_of_two_that_take_a_name_at_once_one_is_refused(sessions: Sessions):
    plans = [plan_collection("ann", "x", model="test@1", dimensions=2) for _ in range(2)]
    [error] = do_in_turn(
        sessions,
        lambda session: create_collection(session, plans[0]),
        lambda session: create_collection(session, plans[1]),
    )
    assert isinstance(error, CollectionExists)


def test_another_tenants_collection_is_as_unknown_as_none(sessions: Sessions):
    add_collection(sessions, tenant="bob")
    with sessions.read() as session:
        with pytest.raises(UnknownCollection) as theirs:
            find_collection(session, "ann", "staff")
        with pytest.raises(UnknownCollection) as nobodys:
            find_collection(session, "carl", "staff")
    assert str(theirs.value) == str(nobodys.value)
    assert "faces.collections" in str(theirs.value)


def test_turns_rise_by_one_and_reserve_numbers_that_never_overlap(sessions: Sessions):
    collection, turns = add_collection(sessions), []

    def take(session) -> None:
        turns.append(take_turn(session, collection, faces=2, numbers=5))

    assert do_at_once(sessions, *[take] * 6) == []
    assert sorted(turn.seq for turn in turns) == [1, 2, 3, 4, 5, 6]
    assert [turn.first_number for turn in sorted(turns, key=lambda turn: turn.seq)] == [
        1, 6, 11, 16, 21, 26,
    ]  # fmt: skip
    assert reread(sessions, collection).faces == 12


def test_a_turn_that_is_rolled_back_was_never_taken(sessions: Sessions):
    collection = add_collection(sessions)

    def take_and_fail() -> None:
        with sessions.begin() as session:
            take_turn(session, collection, 1, 3)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        take_and_fail()
    with sessions.begin() as session:
        turn = take_turn(session, collection, 1, 3)
    assert (turn.seq, turn.first_number) == (1, 1)


def test_a_deleted_collection_has_no_turns_and_its_successor_starts_anew(sessions: Sessions):
    old = add_collection(sessions)
    with sessions.begin() as session:
        take_turn(session, old, 1, 3)
    drop(sessions, old)
    new = add_collection(sessions)
    with sessions.begin() as session:
        with pytest.raises(UnknownCollection):
            take_turn(session, old, 1, 3)
        assert take_turn(session, new, 1, 3).seq == 1


def test_a_face_is_named_only_in_its_collection_and_until_it_expires(sessions: Sessions):
    staff, guests = add_collection(sessions), add_collection(sessions, "guests")
    ann, bob, old = add_faces(sessions, staff, "ann", "bob", "old").numbers
    guest = add_faces(sessions, guests, *["guest"] * 9).numbers[-1]
    set_expiry(sessions, staff, time.time() + 60, bob)
    set_expiry(sessions, staff, time.time() - 1, old)
    with sessions.read() as session:
        named = name_faces(session, staff.id, [ann, bob, old, guest, 10**12])
        assert {number: name for number, (name, _) in named.items()} == {ann: "ann", bob: "bob"}
        assert name_faces(session, staff.id, []) == {}


def test_pages_of_faces_are_the_whole_list(sessions: Sessions):
    collection, names = add_collection(sessions), ["a", "b", "a", "c", "a"]
    numbers = add_faces(sessions, collection, *names).numbers
    seen, after = [], 0
    with sessions.read() as session:
        while page := list_faces(session, collection.id, None, after, 2):
            seen += page
            after = page[-1].number
        mine = list_faces(session, collection.id, "a", 0, 9)
        assert list_faces(session, collection.id, "nobody", 0, 9) == []
        assert count_subjects(session, collection.id) == 3
    assert [(row.number, row.name) for row in seen] == list(zip(numbers, names, strict=True))
    assert [row.number for row in mine] == [numbers[0], numbers[2], numbers[4]]


def test_faces_that_expire_soon_are_counted(sessions: Sessions):
    collection = add_collection(sessions)
    numbers = add_faces(sessions, collection, *"abcd").numbers
    for number, seconds in zip(numbers, (-1, 50, 150), strict=False):
        set_expiry(sessions, collection, time.time() + seconds, number)
    with sessions.read() as session:
        assert count_expiring(session, collection.id, 100) == 2


def test_a_calibration_is_kept_as_it_was_measured(sessions: Sessions):
    collection, found = add_collection(sessions), {"threshold": 0.1, "target_fpir": 1e-4}
    with sessions.begin() as session:
        change_collection(session, collection, {"target_fpir": 1e-4, "calibration": found})
    after = reread(sessions, collection)
    assert (after.target_fpir, after.calibration) == (1e-4, found)


def test_a_calibration_of_a_deleted_collection_is_refused(sessions: Sessions):
    collection = add_collection(sessions)
    drop(sessions, collection)
    with sessions.begin() as session, pytest.raises(UnknownCollection):
        change_collection(session, collection, {"target_fpir": 0.01})


def test_searches_are_allowed_exactly_up_to_the_quota(sessions: Sessions):
    charge(sessions, QUOTA - 1)
    with pytest.raises(QuotaExceeded, match=r"10 searches a day.*ATELIER_SEARCH_QUOTA"):
        charge(sessions, 2)
    assert used(sessions) == QUOTA - 1
    charge(sessions, 1)
    assert used(sessions) == QUOTA
    with pytest.raises(QuotaExceeded):
        charge(sessions, 1)
    charge(sessions, 1, tenant="bob")
    assert (used(sessions), used(sessions, "bob")) == (QUOTA, 1)


def test_the_first_search_of_a_day_is_no_exception(sessions: Sessions):
    with pytest.raises(QuotaExceeded):
        charge(sessions, QUOTA + 1)
    assert used(sessions) == 0


def test_searches_at_once_are_allowed_exactly_up_to_the_quota(sessions: Sessions):
    errors = do_at_once(sessions, *[lambda session: charge_searches(session, "ann", 2, QUOTA)] * 8)
    assert [type(error) for error in errors] == [QuotaExceeded] * 3
    assert used(sessions) == QUOTA


def test_a_new_day_begins_with_nothing(sessions: Sessions):
    charge(sessions, QUOTA)
    with sessions.begin() as session:
        session.execute(update(FaceSearches).values(day=FaceSearches.day - 1))
    assert used(sessions) == 0
    charge(sessions, QUOTA)


def test_a_face_belongs_to_one_collection_only(sessions: Sessions):
    """Numbers are counted for each collection, so the same one is another face elsewhere."""
    staff, guests = add_collection(sessions), add_collection(sessions, "guests")
    [first], [second] = (
        add_faces(sessions, one, name).numbers for one, name in ((staff, "a"), (guests, "b"))
    )
    assert first == second
    with sessions.read() as session:
        assert session.get_one(Face, (staff.id, first)).collection_id == staff.id
        assert name_faces(session, guests.id, [second])[second][0] == "b"
