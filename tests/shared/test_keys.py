"""A key opens its tenant's door until it expires, is rotated out or revoked; nothing else does."""

import re

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text, update

from shared.db import db_now
from shared.keys import create_key, find_key, list_keys, revoke_key, rotate_key
from shared.tables import ApiKey


@pytest.fixture
def session(sessions):
    with sessions.begin() as session:
        yield session


def make_key(session, tenant="ann", expires_in=None):
    ends = None if expires_in is None else session.scalar(select(db_now() + expires_in))
    return create_key(session, tenant, "laptop", ["jobs"], ends)


def find_id(session, key):
    return find_key(session, key).id


def test_a_new_key_is_found_with_its_rights(session):
    ann, bob = make_key(session, "ann"), make_key(session, "bob")
    found = find_key(session, ann)
    assert (found.tenant, found.name, found.scopes) == ("ann", "laptop", ["jobs"])
    assert find_key(session, bob).tenant == "bob"
    assert [key.tenant for key in list_keys(session)] == ["ann", "bob"]


def test_keys_are_long_random_and_safe_in_a_header(session):
    keys = {make_key(session) for _ in range(100)}
    assert len(keys) == 100
    assert all(re.fullmatch(r"atl_[0-9a-f]{12}_[A-Za-z0-9_-]{43}", key) for key in keys)


def test_the_secret_is_not_stored(session):
    secret = make_key(session).split("_", 2)[2]
    session.flush()
    stored = session.execute(text("SELECT * FROM api_keys")).all()
    assert secret not in str(stored)


@pytest.mark.parametrize("change", [str.upper, str.swapcase, lambda key: key[:-1], "{} ".format])
def test_a_changed_key_opens_nothing(session, change):
    assert find_key(session, change(make_key(session))) is None


def test_a_key_with_anothers_secret_opens_nothing(session):
    mine, other = make_key(session).split("_", 2), make_key(session).split("_", 2)
    assert find_key(session, "_".join([*mine[:2], other[2]])) is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(guess=st.text() | st.text(max_size=20).map(lambda rest: f"atl_{rest}"))
@example("atl_0123456789ab_")
@example("atl_0123456789a\0_x")
@example("atl_0123456789a\n_x")
@example("atl_0123456789aä_x")
def test_no_text_breaks_the_search(session, guess):
    assert find_key(session, guess) is None


def test_an_expired_key_opens_nothing(session):
    assert find_key(session, make_key(session, expires_in=60)) is not None
    assert find_key(session, make_key(session, expires_in=-1)) is None


def test_a_revoked_key_opens_nothing_at_once(session):
    key = make_key(session)
    key_id = find_id(session, key)
    assert revoke_key(session, key_id)
    assert find_key(session, key) is None
    assert not revoke_key(session, key_id)
    assert not revoke_key(session, key_id + 1)


def test_a_rotated_key_still_opens_during_its_grace(session):
    old = make_key(session)
    new = rotate_key(session, find_id(session, old), grace=60)
    found = find_key(session, new)
    assert (found.tenant, found.name, found.scopes) == ("ann", "laptop", ["jobs"])
    assert found.expires_at is None
    remaining = session.scalar(
        select(ApiKey.expires_at - db_now()).where(ApiKey.id == find_id(session, old))
    )
    assert remaining == pytest.approx(60, abs=5)


def test_a_rotated_key_without_grace_opens_nothing(session):
    old = make_key(session)
    new = rotate_key(session, find_id(session, old), grace=0)
    assert find_key(session, old) is None
    assert find_key(session, new) is not None


def test_rotating_never_lengthens_a_life(session):
    old = make_key(session, expires_in=60)
    ends = find_key(session, old).expires_at
    new = rotate_key(session, find_id(session, old), grace=3600)
    assert find_key(session, old).expires_at == ends
    assert find_key(session, new).expires_at == ends


def test_a_revoked_or_unknown_key_cannot_be_rotated(session):
    key_id = find_id(session, make_key(session))
    session.execute(update(ApiKey).values(revoked_at=db_now()))
    session.expire_all()
    for missing in (key_id, key_id + 1):
        with pytest.raises(LookupError, match="keys list"):
            rotate_key(session, missing, grace=0)
    assert session.scalar(select(func.count()).select_from(ApiKey)) == 1
