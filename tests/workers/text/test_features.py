"""Facts about people become vectors of 199 numbers, and wrong ones are refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from workers.runtime.run import InvalidInput
from workers.text.countries import list_countries
from workers.text.encoding_contract import FEATURES, Person
from workers.text.features import choose_country, to_features


def encode(**facts) -> list[float]:
    person = Person(**facts)
    return to_features(person, choose_country(person))


def test_age_and_sex_come_first_and_then_the_countries():
    vector = encode(age=36, sex=1, country=1)
    assert vector[:4] == [36.0, 1.0, 1.0, 0.0]
    assert len(vector) == FEATURES == 199
    assert encode(age=0.5, sex=0, country=197)[-1] == 1.0


@given(st.integers(1, 197), st.floats(0, 150), st.integers(0, 1))
def test_a_country_is_a_single_one(country: int, age: float, sex: int):
    vector = encode(age=age, sex=sex, country=country)
    assert vector[:2] == [age, sex]
    assert vector[2:].index(1.0) == country - 1
    assert sum(vector[2:]) == 1.0


def test_a_code_gives_the_vector_of_the_number():
    for country in list_countries():
        by_code = encode(age=1, sex=0, country=country.alpha2)
        assert by_code == encode(age=1, sex=0, country=country.index)


def test_without_a_country_its_numbers_are_zero():
    assert encode(age=20, sex=0) == encode(age=20, sex=0, country=0) == [20.0] + [0.0] * 198


@pytest.mark.parametrize("country", [198, -1, 10**30, "ZZ"])
def test_a_country_that_does_not_exist_is_named(country):
    with pytest.raises(InvalidInput, match=f"no country {country!r}.*1 to 197"):
        encode(age=1, sex=0, country=country)


@pytest.mark.parametrize(
    "wrong",
    [
        '{"age": "36", "sex": 0}',
        '{"age": true, "sex": 0}',
        '{"age": NaN, "sex": 0}',
        '{"age": Infinity, "sex": 0}',
        '{"age": -1, "sex": 0}',
        '{"age": 151, "sex": 0}',
        '{"age": null, "sex": 0}',
        '{"sex": 0}',
        '{"age": 36, "sex": 2}',
        '{"age": 36, "sex": true}',
        '{"age": 36, "sex": "male"}',
        '{"age": 36, "sex": 0.0}',
        '{"age": 36, "sex": 0, "country": true}',
        '{"age": 36, "sex": 0, "country": 4.0}',
        '{"age": 36, "sex": 0, "country": "gb"}',
        '{"age": 36, "sex": 0, "country": "GBR"}',
        '{"age": 36, "sex": 0, "country": null}',
    ],
)
def test_facts_of_another_kind_are_refused(wrong: str):
    with pytest.raises(ValidationError):
        Person.model_validate(json.loads(wrong))
