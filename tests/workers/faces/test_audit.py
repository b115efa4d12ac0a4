"""The audit log: no line of it can be changed, taken out or moved without being noticed."""

import json

import pytest
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from shared.db import Sessions, open_db
from shared.face_tables import FaceAudit, FaceAuditHead
from shared.sealing import TenantKey
from tests.races import do_at_once
from tests.workers.faces.site import ANN, KEY, add_collection, add_faces, count
from workers.faces.audit import Actor, append_line, check_page, read_lines, sign_line

LINES = 5
ODD = {"n": None, "f": 0.1, "tiny": 5e-324, "big": 1e22, "i": 2**53 + 1, "é": ["🙂", {}], "b": True}


def append(sessions: Sessions, *details: dict[str, object], actor: Actor = ANN) -> None:
    for detail in details:
        with sessions.begin() as session:
            append_line(session, KEY, actor, "enroll", "staff", detail)


def find(sessions: Sessions, tenant: str = "ann", key: TenantKey = KEY) -> int | None:
    """The first break of the chain, read in pages of two lines."""
    position = 0
    with sessions.read() as session:
        while True:
            lines = read_lines(session, tenant, position, 2)
            broken_at = check_page(session, key, tenant, position, lines)
            if broken_at is not None or not lines:
                return broken_at
            position = lines[-1].position


def drop_triggers(sessions: Sessions) -> None:
    """As somebody does who owns the database."""
    with sessions.begin() as session:
        if sessions.engine.name == "sqlite":
            session.execute(text("DROP TRIGGER face_audit_no_UPDATE"))
            session.execute(text("DROP TRIGGER face_audit_no_DELETE"))
        else:
            session.execute(text("DROP TRIGGER face_audit_append_only ON face_audit"))


@pytest.fixture
def log(sessions: Sessions) -> Sessions:
    """A log of some lines, and one of another tenant."""
    append(sessions, *[{"faces": number} for number in range(1, LINES + 1)])
    append(sessions, {"faces": 1}, actor=Actor("bob"))
    return sessions


def at(position: int):
    return (FaceAudit.tenant == "ann") & (FaceAudit.position == position)


def test_an_untouched_log_is_intact(log: Sessions):
    assert find(log) is None
    assert find(log, "bob") is None
    assert find(log, "nobody") is None


def test_lines_are_read_in_order_page_by_page(log: Sessions):
    with log.read() as session:
        first, second = read_lines(session, "ann", 0, 3), read_lines(session, "ann", 3, 3)
    assert [line.position for line in first + second] == [1, 2, 3, 4, 5]
    assert [line.detail["faces"] for line in first + second] == [1, 2, 3, 4, 5]
    assert {(line.key_id, line.job_id) for line in first} == {(7, "1" * 32)}


def test_a_detail_of_any_shape_is_read_as_it_was_signed(sessions: Sessions):
    append(sessions, ODD, {}, {"text": "a\\b\"c'd%s:x"})
    with sessions.read() as session:
        assert read_lines(session, "ann", 0, 1)[0].detail == ODD
    assert find(sessions) is None


@pytest.mark.parametrize(
    "statement",
    [
        update(FaceAudit).values(action="delete"),
        update(FaceAudit).where(FaceAudit.position == 1).values(detail={}),
        delete(FaceAudit),
        delete(FaceAudit).where(FaceAudit.position == LINES),
    ],
)
def test_the_database_refuses_to_change_or_delete_a_line(log: Sessions, statement):
    with log.begin() as session, pytest.raises(DBAPIError, match="append-only"):
        session.execute(statement)
    assert count(log, FaceAudit) == LINES + 1


def test_postgres_refuses_to_empty_the_log(postgres_database_url: str):
    sessions = open_db(postgres_database_url)
    with sessions.begin() as session, pytest.raises(DBAPIError, match="append-only"):
        session.execute(text("TRUNCATE face_audit"))
    sessions.engine.dispose()


CHANGES = [
    {"at": 0.0},
    {"key_id": 8},
    {"key_id": None},
    {"job_id": "2" * 32},
    {"action": "identify"},
    {"collection": None},
    {"detail": {"faces": 30}},
    {"detail": {"faces": 3, "more": None}},
    {"digest": "0" * 64},
]


def test_a_change_of_any_part_of_a_line_is_found(log: Sessions):
    drop_triggers(log)
    with log.read() as session:
        line = session.scalars(select(FaceAudit).where(at(3))).one()
    for change in CHANGES:
        with log.begin() as session:
            session.execute(update(FaceAudit).where(at(3)).values(**change))
        assert find(log) == 3, change
        with log.begin() as session:
            old = {name: getattr(line, name) for name in change}
            session.execute(update(FaceAudit).where(at(3)).values(**old))
        assert find(log) is None


@pytest.mark.parametrize("position", [1, 3, LINES])
def test_a_deleted_line_is_found(log: Sessions, position: int):
    drop_triggers(log)
    with log.begin() as session:
        session.execute(delete(FaceAudit).where(at(position)))
    assert find(log) == position


def test_a_log_without_lines_is_found_by_its_head(log: Sessions):
    drop_triggers(log)
    with log.begin() as session:
        session.execute(delete(FaceAudit).where(FaceAudit.tenant == "ann"))
    assert find(log) == 1


def test_lines_that_changed_places_are_found(log: Sessions):
    drop_triggers(log)
    with log.begin() as session:
        for old, new in ((2, 99), (4, 2), (99, 4)):
            session.execute(update(FaceAudit).where(at(old)).values(position=new))
    assert find(log) == 2


def test_a_gap_closed_by_moving_the_rest_up_is_found(log: Sessions):
    drop_triggers(log)
    with log.begin() as session:
        session.execute(delete(FaceAudit).where(at(2)))
        for old in range(3, LINES + 1):
            session.execute(update(FaceAudit).where(at(old)).values(position=old - 1))
        session.execute(
            update(FaceAuditHead).where(FaceAuditHead.tenant == "ann").values(position=4)
        )
    assert find(log) == 2


def test_a_line_of_another_tenant_is_found(log: Sessions):
    drop_triggers(log)
    with log.begin() as session:
        theirs = session.scalar(select(FaceAudit.digest).where(FaceAudit.tenant == "bob"))
        session.execute(update(FaceAudit).where(at(1)).values(digest=theirs))
    assert find(log) == 1


def test_a_line_signed_without_the_key_is_found(log: Sessions):
    forged = {
        "tenant": "ann", "position": LINES + 1, "at": 1.0, "key_id": 7, "job_id": None,
        "action": "create", "collection": None, "detail": {},
    }  # fmt: skip
    with log.begin() as session:
        last = session.get_one(FaceAuditHead, "ann").digest
        digest = sign_line(TenantKey(bytes([1]) * 32), last, forged)
        session.execute(insert(FaceAudit).values(**forged, digest=digest))
        session.execute(
            update(FaceAuditHead)
            .where(FaceAuditHead.tenant == "ann")
            .values(position=LINES + 1, digest=digest)
        )
    assert find(log) == LINES + 1
    assert find(log, key=TenantKey(bytes([2]) * 32)) == 1


@pytest.mark.parametrize("broken", [3, 4, 8])
def test_a_log_of_many_pages_is_checked_to_its_end(sessions: Sessions, broken: int):
    append(sessions, *[{}] * 8)
    assert find(sessions) is None
    drop_triggers(sessions)
    with sessions.begin() as session:
        session.execute(update(FaceAudit).where(at(broken)).values(at=0.0))
    assert find(sessions) == broken


def test_what_is_rolled_back_leaves_no_line_and_no_gap(log: Sessions):
    def append_and_fail() -> None:
        with log.begin() as session:
            append_line(session, KEY, ANN, "delete", "staff", {})
            raise RuntimeError

    with pytest.raises(RuntimeError):
        append_and_fail()
    append(log, {"faces": 6})
    with log.read() as session:
        assert [line.position for line in read_lines(session, "ann", 4, 9)] == [5, 6]
    assert find(log) is None


def test_lines_written_at_once_get_one_order(sessions: Sessions):
    def write(session) -> None:
        append_line(session, KEY, ANN, "enroll", "staff", {})

    assert do_at_once(sessions, *[write] * 8) == []
    with sessions.read() as session:
        assert [line.position for line in read_lines(session, "ann", 0, 99)] == [*range(1, 9)]
    assert find(sessions) is None


def test_a_line_names_neither_person_nor_embedding(sessions: Sessions):
    add_faces(sessions, add_collection(sessions), "Ann Smith", "Bob")
    with sessions.read() as session:
        [line] = read_lines(session, "ann", 0, 9)
    assert line.detail == {"faces": 2, "subjects": 2, "purpose": "door", "seq": 1}
    assert "Ann" not in json.dumps([line.action, line.collection, line.detail])
