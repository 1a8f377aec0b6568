"""Releases of a package are found by asking the resolver again and again; the fake uv answers."""

import itertools

import pytest

from bench.environments import releases
from bench.environments.releases import published
from bench.errors import UsageError

from .uv_index import INDEX, Uv

ALL = INDEX["ultralytics"]["versions"]


@pytest.fixture
def uv(tmp_path, monkeypatch):
    return Uv(tmp_path, monkeypatch)


def test_all_of_them_oldest_first(uv):
    assert published("ultralytics", "") == ALL
    assert published("Torch", "") == INDEX["torch"]["versions"]


def test_every_range_includes_its_ends(uv):
    for first, final in itertools.combinations_with_replacement(range(len(ALL)), 2):
        assert published("ultralytics", "", ALL[first], ALL[final]) == ALL[first : final + 1]


def test_ends_need_not_be_releases(uv):
    assert published("ultralytics", "", "8.4.1", "8.4.150") == ["8.4.100"]
    assert published("ultralytics", "", most="8.4") == ["8.3.230", "8.4.0"]
    assert published("ultralytics", "", least="8.4.150") == ["8.4.189", "8.4.190"]


@pytest.mark.parametrize("last", [1, 2, 99])
def test_the_last_few(uv, last):
    assert published("ultralytics", "", last=last) == ALL[-last:]
    assert published("ultralytics", "", most="8.4.189", last=last) == ALL[:-1][-last:]


def test_no_more_is_asked_than_needed(uv):
    published("ultralytics", "", last=2)
    assert len(uv.calls()) == 2


def test_the_arguments_of_the_resolver(uv):
    published("ultralytics", "2026-01-31", last=1)
    [call] = uv.calls("pip compile")
    assert call[call.index("--exclude-newer") + 1] == "2026-01-31"
    assert call[call.index("--prerelease") + 1] == "disallow"
    assert "--no-deps" in call


def test_a_local_part_is_not_compared_with(uv, monkeypatch):
    asked = []

    def newest(requirement, exclude_newer):
        asked.append(requirement)
        return "2.13.0+cpu" if len(asked) == 1 else "2.12.0"

    monkeypatch.setattr(releases, "newest", newest)
    assert published("torch", "", last=2) == ["2.12.0", "2.13.0+cpu"]
    assert asked == ["torch", "torch<2.13.0"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("nothing-of-the-kind",), "there is no version of nothing-of-the-kind"),
        (("ultralytics", "", "8.5"), "no version of ultralytics>=8.5"),
        (("ultralytics", "", "8.4.101", "8.4.150"), "no version of ultralytics>=8.4.101,<=8.4.150"),
        (("ultralytics", "", "8.4.190", "8.4.100"), "8.4.190 is newer than 8.4.100: name the older one first"),
        (("ultralytics", "", "8.4.10", "8.4.9"), "8.4.10 is newer than 8.4.9"),
        (("ultralytics", "", "8.4.post1", "8.4.0"), "8.4.post1 is newer than 8.4.0"),
        (("ultralytics", "", "latest"), "'latest' is no version of a release"),
        (("ultralytics", "", "8.4.0rc1"), "'8.4.0rc1' is no version of a release"),
        (("torch", "", "", "2.13.0+cpu"), "'2.13.0\\+cpu' is no version of a release"),
        (("ultralytics==8.4.0",), "'ultralytics==8.4.0' is no name of a package"),
        (("--help",), "'--help' is no name of a package"),
    ],
)
def test_what_cannot_be_listed(uv, arguments, sentence):
    with pytest.raises(UsageError, match=sentence) as error:
        published(arguments[0], *(arguments[1:] or [""]))
    assert "\n" not in str(error.value)


def test_ends_that_are_the_same_release_are_in_order(uv):
    assert published("ultralytics", "", "8.4.0", "8.4") == ["8.4.0"]


def test_a_network_that_goes_away_half_way_is_no_end_of_the_list(uv, monkeypatch):
    ask = releases.newest

    def newest(requirement, exclude_newer):
        if "<8.4.189" in requirement:
            uv.breaks("no-network")
        return ask(requirement, exclude_newer)

    monkeypatch.setattr(releases, "newest", newest)
    with pytest.raises(UsageError, match="the package index does not answer"):
        published("ultralytics", "")
