"""Turns facts about a person into a vector of 199 numbers."""

from workers.runtime.run import InvalidInput
from workers.text.countries import COUNTRIES, Country, find_country
from workers.text.encoding_contract import Person


def choose_country(person: Person) -> Country | None:
    """None if it is not given. Raises InvalidInput for one that is not known."""
    try:
        return find_country(person.country)
    except KeyError as error:
        raise InvalidInput(
            f"There is no country {person.country!r}. Send a number from 1 to {COUNTRIES}, an ISO "
            "3166 code such as GB, or 0 if it is not known."
        ) from error


def to_features(person: Person, country: Country | None) -> list[float]:
    """(199,): the age in years, 0 male or 1 female, and a one for the country's number.

    Without a country, its 197 numbers are zero.
    """
    vector = [0.0] * (2 + COUNTRIES)
    vector[:2] = float(person.age), float(person.sex)
    if country is not None:
        vector[1 + country.index] = 1.0
    return vector
