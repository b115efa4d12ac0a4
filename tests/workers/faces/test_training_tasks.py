"""Jobs that make and choose encoders: trained, tested on strangers, promoted, rolled back."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError
from sqlalchemy import update

from shared.models import register_model
from shared.tables import TrainedModel
from tests.workers.faces.desk import Desk, to_png
from tests.workers.faces.site import make_vectors
from workers.faces.gallery_contract import CreateRequest
from workers.faces.gallery_tasks import create
from workers.faces.picture_contract import VerifyRequest
from workers.faces.picture_tasks import verify
from workers.faces.siamese import Architecture, SiameseNet, save_network
from workers.faces.training_contract import ModelsRequest, PromoteRequest, TrainRequest
from workers.faces.training_tasks import models, promote, train
from workers.faces.upkeep_contract import AuditRequest
from workers.faces.upkeep_tasks import audit
from workers.runtime.images import decode
from workers.runtime.run import Cancelled

SMALL = Architecture(side=32, channels=1, dimensions=24, width=8)
METRICS = {"impostor_mean": 0.1, "impostor_std": 0.2}


def make_zip(people: int, each: int = 4) -> bytes:
    """People who are patterns of bright and dark squares."""
    chance, file = np.random.default_rng(0), io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for person in range(people):
            squares = chance.integers(0, 2, (4, 4)) * 200
            for picture in range(each):
                noisy = np.kron(squares, np.ones((16, 16))) + chance.integers(0, 50, (64, 64))
                content = to_png(Image.fromarray(noisy.astype(np.uint8)).convert("RGB"))
                archive.writestr(f"p{person}/{picture}.png", content)
    return file.getvalue()


def ask(desk: Desk, people: int = 12, **values: object) -> TrainRequest:
    default: dict[str, object] = {"steps": 12, "held_out": 0.4}
    pictures = desk.add(make_zip(people))
    return TrainRequest.model_validate({"pictures": pictures, **default, **values})


def add_model(desk: Desk, seed: int = 0) -> str:
    """A network of random weights, registered as if it were trained."""
    network = SiameseNet(SMALL)
    path = desk.worker.settings.home / f"{seed}.safetensors"
    save_network(network, path)
    upload = desk.worker.blobs.put(desk.tenant, [path.read_bytes()], 2**20)
    with desk.worker.sessions.begin() as session:
        origin = {"dimensions": SMALL.dimensions}
        return str(register_model(session, "faces", "net", upload, METRICS, origin))


def list_defaults(desk: Desk) -> dict[str, bool]:
    return {model.model: model.default for model in desk.do(models, ModelsRequest()).models}


def test_a_network_is_trained_and_can_be_used(desk: Desk):
    first = desk.do(train, ask(desk, name="ours"))
    again = desk.do(train, ask(desk, name="ours"))
    assert (first.model, again.model) == ("ours@1", "ours@2")
    assert first.metrics == again.metrics
    assert first.steps == 12
    assert first.people == {"trained or validated": 7, "tested": 5}
    assert 0 <= first.metrics["eer"] <= 0.45
    assert decode(desk.files[first.roc]).size == (640, 480)
    [shipped, shown, _] = desk.do(models, ModelsRequest()).models
    assert (shipped.default, shown.default, shown.model) == (True, False, "ours@1")
    assert (shown.origin["seed"], shown.origin["steps"]) == (0, 12)
    collection = desk.create(model="ours@1")
    assert (collection.model, collection.dimensions) == ("ours@1", shown.dimensions)
    assert -1 <= collection.threshold <= 1
    assert [line.action for line in desk.do(audit, AuditRequest()).lines][:2] == ["train", "train"]
    assert desk.list_checkpoints() == []


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "zip"),
        (b"PK\x03\x04", "zip"),
        (make_zip(0), "folder"),
        (make_zip(1), "too few"),
        (make_zip(3), "too few"),
        (make_zip(8, each=1), "two or more"),
    ],
)
def test_pictures_that_nothing_can_be_learned_from_are_refused(desk: Desk, content, text: str):
    request = TrainRequest(pictures=desk.add(content), steps=1)
    code, why = desk.refuse(train, request)
    assert (code, text in why) == ("invalid_input", True), why
    assert list_defaults(desk) == {"dlib-resnet@1": True}


def test_a_training_can_be_cancelled(desk: Desk):
    run = desk.make(ask(desk))
    run.stop_requested = lambda: True
    with pytest.raises(Cancelled):
        train(desk.worker, [run])


def test_a_model_cannot_take_the_name_of_the_shipped_one():
    with pytest.raises(ValidationError, match="comes with Atelier: choose another name"):
        TrainRequest(pictures="0" * 64, name="dlib-resnet")


def test_a_promoted_model_is_the_one_of_new_collections_until_it_is_rolled_back(each_desk: Desk):
    first, second = add_model(each_desk, 1), add_model(each_desk, 2)
    before = each_desk.create("before")
    for place, model in enumerate([second, first, "dlib-resnet@1", second]):
        shown = each_desk.do(promote, PromoteRequest(model=model))
        assert [item.model for item in shown.models if item.default] == [model]
        assert {name for name, default in list_defaults(each_desk).items() if default} == {model}
        assert each_desk.create(f"c{place}").model == model
    assert each_desk.find("before").model == before.model == "dlib-resnet@1"


def test_another_tenants_model_is_unknown(desk: Desk):
    model = add_model(desk)
    stranger = Desk(desk.worker)
    embedding = make_vectors(1, dimensions=24)[0].tolist()
    for method, request in (
        (promote, PromoteRequest(model=model)),
        (create, CreateRequest(collection="staff", model=model)),
        (verify, VerifyRequest(first_embedding=embedding, second_embedding=embedding, model=model)),
    ):
        code, text = stranger.refuse(method, request)
        assert (code, "faces.models" in text) == ("wrong_model", True)
    assert list_defaults(stranger) == {"dlib-resnet@1": True}
    assert list_defaults(desk) == {"dlib-resnet@1": True, model: False}


def test_a_model_that_does_not_load_is_not_put_in_use(desk: Desk):
    model = add_model(desk)
    own = TrainedModel.tenant == desk.tenant
    desk.change(lambda session: session.execute(
        update(TrainedModel).where(own).values(object_name="gone")
    ))  # fmt: skip
    assert desk.refuse(promote, PromoteRequest(model=model))[0] == "wrong_model"
    assert desk.refuse(promote, PromoteRequest(model="net@2"))[0] == "wrong_model"
    assert list_defaults(desk) == {"dlib-resnet@1": True, model: False}


def test_embeddings_of_a_trained_model_are_compared_by_its_own_scale(desk: Desk):
    model = add_model(desk)
    one, other = (vector.tolist() for vector in make_vectors(2, dimensions=24))
    for second, same in ((one, True), (other, False)):
        request = VerifyRequest(first_embedding=one, second_embedding=second, model=model)
        assert desk.do(verify, request).same is same
    request = VerifyRequest(
        first_embedding=one, second_embedding=one, model=model, method="classifier"
    )
    code, text = desk.refuse(verify, request)
    assert (code, "method=distance" in text) == ("invalid_input", True)


def test_a_collection_of_a_trained_model_takes_only_its_embeddings(desk: Desk):
    desk.create(model=add_model(desk))
    assert desk.enroll("ann", vectors=make_vectors(1, dimensions=24))
    with pytest.raises(AssertionError, match="have 24"):
        desk.enroll("ann", vectors=make_vectors(1, dimensions=128))
