"""The list of countries is whole, ordered and found by number and code."""

import unicodedata

import pytest

from workers.text.countries import find_country, list_countries

# Codes as ISO 3166-1 has them, where they are not the first letters of the English name.
WELL_KNOWN = {
    "Algeria": ("DZ", "DZA"),
    "Cambodia": ("KH", "KHM"),
    "Chad": ("TD", "TCD"),
    "Croatia": ("HR", "HRV"),
    "Germany": ("DE", "DEU"),
    "Holy See": ("VA", "VAT"),
    "Korea, Republic of": ("KR", "KOR"),
    "Kosovo": ("XK", "XKX"),
    "South Africa": ("ZA", "ZAF"),
    "Switzerland": ("CH", "CHE"),
    "Taiwan": ("TW", "TWN"),
    "United Kingdom": ("GB", "GBR"),
}


def test_there_are_197_with_numbers_from_1_on():
    assert [country.index for country in list_countries()] == list(range(1, 198))


def test_no_name_and_no_code_is_there_twice():
    countries = list_countries()
    for values in zip(*[(c.name, c.alpha2, c.alpha3) for c in countries], strict=True):
        assert len(set(values)) == 197
    assert all(len(c.alpha2) == 2 and len(c.alpha3) == 3 for c in countries)
    assert all(
        (c.alpha2 + c.alpha3).isupper() and (c.alpha2 + c.alpha3).isascii() for c in countries
    )


def test_they_are_in_the_order_of_their_names():
    names = [
        unicodedata.normalize("NFD", c.name).encode("ascii", "ignore") for c in list_countries()
    ]
    assert names == sorted(names, key=bytes.lower)
    assert names[0] == b"Afghanistan"
    assert names[-1] == b"Zimbabwe"


def test_well_known_codes():
    known = {c.name: (c.alpha2, c.alpha3) for c in list_countries()}
    assert {name: known[name] for name in WELL_KNOWN} == WELL_KNOWN


def test_a_country_is_found_by_number_and_by_code():
    for country in list_countries():
        assert find_country(country.index) is find_country(country.alpha2) is country


def test_zero_is_no_country():
    assert find_country(0) is None


@pytest.mark.parametrize("asked", [198, -1, "ZZ", "gb", "", "GBR"])
def test_what_is_no_country_is_not_found(asked):
    with pytest.raises(KeyError):
        find_country(asked)
