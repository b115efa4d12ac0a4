"""Trained models have versions that nobody loses, and one of them at most is in use."""

from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from shared.blobs import BlobInfo, Blobs, Upload
from shared.db import Sessions
from shared.models import (
    ModelName,
    UnknownModel,
    delete_model,
    find_model,
    find_promoted,
    find_version,
    list_models,
    promote_model,
    promote_version,
    register_model,
)
from tests.races import Action, do_in_turn


def register(session: Session, name: str = "net", tenant: str = "ann") -> ModelName:
    upload = Upload(tenant, BlobInfo("a" * 64, 3, "application/octet-stream"), f"{tenant}/{name}")
    return register_model(session, "faces", name, upload, {"eer": 0.1}, {"seed": 0})


def in_use(sessions: Sessions, tenant: str = "ann") -> list[str]:
    with sessions.read() as session:
        return [
            f"{row.name}@{row.version}"
            for row in list_models(session, tenant, "faces")
            if row.promoted_at is not None
        ]


@pytest.mark.parametrize("name", [ModelName("net", 1), ModelName("a-b-3", 12)])
def test_a_name_reads_as_it_is_written(name: ModelName):
    assert ModelName.parse(str(name)) == name


@pytest.mark.parametrize("text", ["net", "net@", "net@x", "", "@"])
def test_a_text_without_a_version_is_no_name(text: str):
    with pytest.raises(ValueError, match="invalid literal"):
        ModelName.parse(text)


def test_versions_rise_by_one_for_each_name_and_tenant(sessions: Sessions):
    with sessions.begin() as session:
        made = [register(session), register(session), register(session, "other")]
        foreign = register(session, tenant="bob")
    assert [str(model) for model in made] == ["net@1", "net@2", "other@1"]
    assert str(foreign) == "net@1"


def test_models_that_are_registered_at_once_get_a_version_each(sessions: Sessions):
    """Each is the fruit of hours of training."""
    assert do_in_turn(sessions, register, register) == []
    with sessions.begin() as session:
        assert [row.version for row in list_models(session, "ann", "faces")] == [1, 2]


def test_a_transaction_that_fails_registers_nothing(sessions: Sessions):
    def register_and_fail() -> None:
        with sessions.begin() as session:
            register(session)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        register_and_fail()
    with sessions.begin() as session:
        assert list_models(session, "ann", "faces") == []
        assert register(session).version == 1


def test_a_model_is_unknown_to_other_tenants_and_workers(sessions: Sessions):
    with sessions.begin() as session:
        model = register(session)
        assert find_model(session, "ann", "faces", model).metrics == {"eer": 0.1}
        for tenant, worker in (("bob", "faces"), ("ann", "detect")):
            with pytest.raises(UnknownModel, match=r"no model net@1.*lists yours"):
                find_model(session, tenant, worker, model)
            assert list_models(session, tenant, worker) == []


def test_nothing_is_in_use_until_it_is_promoted(sessions: Sessions):
    with sessions.begin() as session:
        register(session)
        assert find_promoted(session, "ann", "faces") is None


def test_promotion_replaces_the_model_in_use_and_can_be_taken_back(sessions: Sessions):
    with sessions.begin() as session:
        first, second = register(session), register(session)
    for model in (first, second, first, None, second):
        with sessions.begin() as session:
            promote_model(session, "ann", "faces", model)
        with sessions.read() as session:
            assert find_promoted(session, "ann", "faces") == model
        assert in_use(sessions) == ([str(model)] if model else [])


def test_promotion_is_no_concern_of_other_tenants(sessions: Sessions):
    with sessions.begin() as session:
        mine, theirs = register(session), register(session, tenant="bob")
        promote_model(session, "ann", "faces", mine)
        promote_model(session, "bob", "faces", theirs)
        promote_model(session, "ann", "faces", None)
        assert find_promoted(session, "bob", "faces") == theirs
        with pytest.raises(UnknownModel):
            promote_model(session, "bob", "faces", ModelName("net", 2))


def test_an_unknown_model_leaves_the_one_in_use(sessions: Sessions):
    with sessions.begin() as session:
        promote_model(session, "ann", "faces", register(session))
    with pytest.raises(UnknownModel), sessions.begin() as session:
        promote_model(session, "ann", "faces", ModelName("net", 9))
    assert in_use(sessions) == ["net@1"]


def test_of_two_promotions_at_once_the_last_one_counts(sessions: Sessions):
    with sessions.begin() as session:
        models = [register(session) for _ in range(3)]
        promote_model(session, "ann", "faces", models[0])

    def promote(model: ModelName) -> Action:
        return lambda session: promote_model(session, "ann", "faces", model)

    assert do_in_turn(sessions, promote(models[2]), promote(models[1])) == []
    assert in_use(sessions) == ["net@2"]


def test_a_bare_name_is_its_newest_version_until_one_is_promoted(sessions: Sessions):
    with sessions.begin() as session:
        for name in ("net", "net", "other"):
            register(session, name)
        assert find_version(session, "ann", "faces", "net").version == 2
        promote_version(session, "ann", "faces", ModelName("net", 1))
        promote_version(session, "ann", "faces", ModelName("other", 1))
        assert find_version(session, "ann", "faces", "net").version == 1
        assert find_version(session, "ann", "faces", "net@2").version == 2
    assert in_use(sessions) == ["net@1", "other@1"]


@pytest.mark.parametrize("asked", ["nobody", "net@9"])
def test_a_model_that_is_not_there_is_not_found(sessions: Sessions, asked: str):
    with sessions.begin() as session:
        register(session)
        with pytest.raises(UnknownModel, match=asked):
            find_version(session, "ann", "faces", asked)
        with pytest.raises(UnknownModel):
            find_version(session, "bob", "faces", "net")


def test_a_deleted_model_is_gone_and_so_is_its_file(sessions: Sessions, tmp_path: Path):
    blobs = Blobs(f"file://{tmp_path}/blobs", sessions)
    equal = [blobs.put("ann", [b"weights"], 100) for _ in range(2)]
    with sessions.begin() as session:
        made = [register_model(session, "faces", "net", each, {}, {}) for each in equal]
        kept = register(session)
    for model in made:
        with sessions.begin() as session:
            delete_model(session, "ann", "faces", model)
    blobs.remove_expired()
    assert [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()] == []
    with sessions.begin() as session:
        assert [row.version for row in list_models(session, "ann", "faces")] == [kept.version]
        with pytest.raises(UnknownModel):
            delete_model(session, "ann", "faces", model)
        with pytest.raises(UnknownModel):
            delete_model(session, "bob", "faces", kept)


def test_the_version_of_a_deleted_model_is_not_given_again(sessions: Sessions):
    with sessions.begin() as session:
        model = register(session)
        delete_model(session, "ann", "faces", model)
        assert str(register(session)) == "net@2"
        with pytest.raises(UnknownModel):
            find_version(session, "ann", "faces", "net@1")
