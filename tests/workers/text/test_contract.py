"""Requests that cannot be meant are refused before they are jobs, with what to do instead."""

from typing import Any

import pytest
from pydantic import ValidationError

from workers.text.embedding_contract import EmbedTrainRequest
from workers.text.encoding_contract import Person
from workers.text.fields import MAX_INLINE
from workers.text.model_contract import TrainRequest
from workers.text.version_contract import FreezeRequest
from workers.text.vocabulary_contract import IngestRequest

FILE = "0" * 64


@pytest.mark.parametrize(
    ("request_type", "values", "says"),
    [
        (IngestRequest, {"vocabulary": "v"}, "send `texts` or `files`"),
        (IngestRequest, {"vocabulary": "v", "texts": ["a"], "ids": []}, "0 ids for 1 items"),
        (IngestRequest, {"vocabulary": "v" * 10_000, "texts": ["a"]}, "at most 60"),
        (IngestRequest, {"vocabulary": "~v", "texts": ["a"]}, "match"),
        (IngestRequest, {"vocabulary": "v", "texts": ["a"], "encoding": "rot13"}, "choose one of"),
        (IngestRequest, {"vocabulary": "v", "texts": ["a" * (MAX_INLINE + 1)]}, "send a file"),
        (FreezeRequest, {"vocabulary": "v", "size": 0}, "greater than or equal to 1"),
        (EmbedTrainRequest, {"corpus": FILE, "version": 1}, "name it too"),
        (TrainRequest, {"corpus": FILE, "version": 1}, "name it too"),
        (TrainRequest, {"corpus": FILE, "bidirectional": True}, "reads one way"),
        (TrainRequest, {"corpus": FILE, "tied": True, "embedding": 3}, "equals `hidden`"),
        (Person, {"age": "36", "sex": 1}, "valid integer"),
        (Person, {"age": True, "sex": 1}, "valid integer"),
        (Person, {"age": float("nan"), "sex": 1}, "finite|greater"),
        (Person, {"age": 36, "sex": 2}, "less than or equal to 1"),
        (Person, {"age": -1, "sex": 0}, "greater than or equal to 0"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(
    request_type: Any, values: dict[str, Any], says: str
):
    with pytest.raises(ValidationError, match=says):
        request_type.model_validate(values)
