"""A tenant's encoders: found by name and version, loaded once, and nobody else's."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import update

from shared.blobs import Blobs
from shared.db import Sessions, open_db
from shared.models import ModelName, promote_model, register_model
from shared.tables import TrainedModel
from workers.faces import encoders as module
from workers.faces.encoders import Encoders, unit
from workers.faces.picture_contract import DEFAULT_MODEL, Model
from workers.faces.refusals import WrongModel
from workers.faces.siamese import Architecture, SiameseNet, save_network
from workers.faces.thresholds import MeasuredScale, ShippedScale

SMALL = Architecture(side=32, channels=1, dimensions=24, width=8)
METRICS = {"impostor_mean": 0.1, "impostor_std": 0.2}


@pytest.fixture
def sessions(sqlite_database_url: str) -> Iterator[Sessions]:
    opened = open_db(sqlite_database_url)
    yield opened
    opened.engine.dispose()


@pytest.fixture
def blobs(sessions: Sessions, tmp_path: Path) -> Blobs:
    return Blobs(f"file://{tmp_path}/blobs", sessions)


@pytest.fixture
def encoders(sessions: Sessions, blobs: Blobs, tmp_path: Path) -> Encoders:
    """Without weights: whoever loads the shipped network fails."""
    return Encoders(tmp_path / "nothing", torch.device("cpu"), sessions, blobs)


def train(sessions: Sessions, blobs: Blobs, tenant: str = "ann", seed: int = 0) -> str:
    """Register a network of random weights; its full name."""
    torch.manual_seed(seed)
    path = Path(str(blobs.store.prefix)) / "new.safetensors"
    save_network(SiameseNet(SMALL), path)
    upload = blobs.put(tenant, [path.read_bytes()], 2**20)
    with sessions.begin() as session:
        return str(register_model(session, "faces", "net", upload, METRICS, {"dimensions": 24}))


def encode(encoders: Encoders, tenant: str, model: str) -> list[float]:
    chip = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    return encoders.open(tenant, model).encode([chip])[0].tolist()


def test_a_trained_model_encodes_as_it_did(encoders: Encoders, sessions, blobs, tmp_path: Path):
    first, second = (train(sessions, blobs, seed=seed) for seed in (1, 2))
    assert (first, second) == ("net@1", "net@2")
    codes = [encode(encoders, "ann", model) for model in (first, second)]
    assert codes[0] != codes[1]
    again = Encoders(tmp_path, torch.device("cpu"), sessions, blobs)
    assert [encode(again, "ann", model) for model in (first, second)] == codes
    assert encoders.open("ann", first).dimensions == 24


def test_a_model_is_its_tenants_own(encoders: Encoders, sessions, blobs):
    """Also one of the same name that is loaded already."""
    mine = train(sessions, blobs, "ann", seed=1)
    encoders.open("ann", mine)
    with pytest.raises(WrongModel, match=r"no encoder net@1.*faces\.models"):
        encoders.open("bob", mine)
    assert train(sessions, blobs, "bob", seed=2) == mine
    assert encode(encoders, "ann", mine) != encode(encoders, "bob", mine)


@pytest.mark.parametrize("model", ["net@2", "net@999999999", "other@1", "net", "net@", ""])
def test_an_unknown_model_says_where_they_are_listed(encoders: Encoders, sessions, blobs, model):
    train(sessions, blobs)
    with pytest.raises(WrongModel, match=r"faces\.models"):
        encoders.open("ann", model)


def test_the_model_in_use_is_chosen_where_none_is_named(encoders: Encoders, sessions, blobs):
    assert encoders.choose("ann", None) == DEFAULT_MODEL
    model = train(sessions, blobs)
    assert encoders.choose("ann", None) == DEFAULT_MODEL
    for promoted, wanted in ((ModelName.parse(model), model), (None, DEFAULT_MODEL)):
        with sessions.begin() as session:
            promote_model(session, "ann", "faces", promoted)
        assert encoders.choose("ann", None) == wanted
        assert encoders.choose("bob", None) == DEFAULT_MODEL


def test_a_name_without_a_version_is_only_clear_for_the_shipped_model(encoders: Encoders):
    assert encoders.choose("ann", "dlib-resnet") == DEFAULT_MODEL
    assert encoders.choose("ann", "net@7") == "net@7"
    with pytest.raises(WrongModel, match="which version of net"):
        encoders.choose("ann", "net")


@pytest.mark.parametrize("name", ["net@01", "net@0", "net@1000000000", "net@-1", "@1", "a@1@1"])
def test_a_version_is_written_in_one_way_and_fits_the_database(name: str):
    with pytest.raises(ValidationError):
        TypeAdapter(Model).validate_python(name)


def test_a_damaged_file_is_refused(encoders: Encoders, sessions, blobs):
    model = train(sessions, blobs)
    with sessions.begin() as session:
        session.execute(update(TrainedModel).values(sha256="0" * 64))
    with pytest.raises(WrongModel, match=r"damaged\. Train it again"):
        encoders.open("ann", model)


def test_a_file_that_is_gone_is_refused(encoders: Encoders, sessions, blobs):
    model = train(sessions, blobs)
    with sessions.begin() as session:
        session.execute(update(TrainedModel).values(object_name="ann/gone"))
    with pytest.raises(WrongModel, match=r"gone.*Train it again"):
        encoders.open("ann", model)


def test_few_models_stay_loaded_and_the_others_come_back(
    encoders: Encoders, sessions, blobs, monkeypatch
):
    monkeypatch.setattr(module, "KEPT", 2)
    models = [train(sessions, blobs, seed=seed) for seed in range(4)]
    codes = [encode(encoders, "ann", model) for model in models]
    assert [encode(encoders, "ann", model) for model in models] == codes


def test_scores_mean_what_was_measured_of_their_encoder(encoders: Encoders, sessions, blobs):
    assert encoders.scale("ann", DEFAULT_MODEL) == ShippedScale("dlib-resnet", "1")
    assert encoders.scale("ann", train(sessions, blobs)) == MeasuredScale.of(METRICS)


finite = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(st.lists(finite, min_size=3, max_size=3), min_size=1, max_size=5))
def test_vectors_become_unit_vectors_or_are_refused(vectors: list[list[float]]):
    wide = np.array(vectors)
    try:
        units = unit(wide)
    except ValueError:
        largest = np.abs(wide).max(axis=1)
        assert (largest <= 1e-12).any()
    else:
        assert units.dtype == np.float16
        np.testing.assert_allclose(np.linalg.norm(units.astype(np.float64), axis=1), 1, atol=2e-3)
        scaled = wide / np.abs(wide).max(axis=1, keepdims=True)
        for one, long in zip(units.astype(np.float64), scaled, strict=True):
            assert one @ long == pytest.approx(np.linalg.norm(long), rel=2e-3)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0.0])
def test_a_vector_without_a_direction_is_refused(value: float):
    with pytest.raises(ValueError, match="has to have a direction"):
        unit(np.array([[1.0, 2.0], [value, 0.0]]))


def test_no_vectors_are_no_vectors():
    assert unit(np.zeros((0, 5))).shape == (0, 5)
