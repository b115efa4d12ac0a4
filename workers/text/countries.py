"""The 197 countries of people's features: their numbers, names and codes.

They are the 193 members of the United Nations, the Holy See, Palestine, Kosovo and Taiwan in the
order of their English short names, with the codes of ISO 3166-1. It has none for Kosovo: XK and XKX
are free for users, and commonly taken for it. The numbers never change.
"""

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

COUNTRIES = 197


@dataclass(frozen=True)
class Country:
    index: int  # 1 to 197
    name: str
    alpha2: str
    alpha3: str


@cache
def list_countries() -> tuple[Country, ...]:
    """In the order of their numbers: country 1 comes first."""
    table = files("workers.text").joinpath("countries.csv").read_text("utf-8")
    return tuple(
        Country(int(row["index"]), row["name"], row["alpha2"], row["alpha3"])
        for row in csv.DictReader(table.splitlines())
    )


def find_country(asked: int | str) -> Country | None:
    """A country by its number or its code of two letters. Raises KeyError if there is none.

    0 stands for a country that is not given: None.
    """
    if asked == 0:
        return None
    return _index_countries()[asked]


@cache
def _index_countries() -> dict[int | str, Country]:
    countries = list_countries()
    return {c.index: c for c in countries} | {c.alpha2: c for c in countries}
