"""A version of MediaWiki that never gets well: the one before answers again by itself, with every page."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from broken_apps import VARIANTS, VERSIONS, give_broken_mediawiki
from real_lab import LAB
from test_app_mediawiki import ADDRESS, TEXT, stored, write_page

if TYPE_CHECKING:
    from collections.abc import Iterator

    from real_lab import RealLab

OWN = {"mediawiki", "mediawiki-database"}
POLLING = "/run/polling"
# Each answer with its time, from outside and through the reverse proxy; only the page itself counts.
POLL = """
url="$1"; text="$2"; cookie="$3"
while [ -e /run/polling ]; do
  got=$(curl -sk --max-time 2 -H "Cookie: $cookie" "$url") && [ "$got" = "$text" ] && how=well || how=away
  echo "$(date +%s.%N) $how"
  sleep 0.2
done
"""


@pytest.fixture(scope="module")
def wiki(home: RealLab) -> Iterator[RealLab]:
    """The session's lab with MediaWiki and a page in it."""
    before = home.text
    home.ez("add", "mediawiki", "--stack", "pages", "--yes")
    write_page(home, "Before", TEXT)
    yield home
    home.write(before)
    home.restore()


@pytest.fixture
def variant(wiki: RealLab, request: pytest.FixtureRequest) -> Iterator[str]:
    """The lab's own catalog has a broken version."""
    give_broken_mediawiki(wiki, request.param)
    yield request.param
    wiki.server.run(["rm", "-rf", f"{LAB}/catalog/mediawiki"])


@contextmanager
def polled(lab: RealLab, page: str) -> Iterator[list[tuple[float, bool]]]:
    """Ask for the page all the time; afterwards the list holds when it was asked for, and whether it was there."""
    lab.server.write(POLLING, "")
    url = f"{ADDRESS}/index.php?title={page}&action=raw"
    said: list[str] = []
    asked = ["bash", "-c", POLL, "poll", url, TEXT, lab.cookie]

    def poll() -> None:
        said.append(lab.server.run(asked, timeout=600).stdout)

    thread = threading.Thread(target=poll)
    thread.start()
    answers: list[tuple[float, bool]] = []
    try:
        yield answers
    finally:
        lab.server.run(["rm", "-f", POLLING])
        thread.join()
        rows = (line.split() for line in "".join(said).splitlines())
        answers += [(float(at), how == "well") for at, how in rows]


def longest_away(answers: list[tuple[float, bool]]) -> float:
    """The seconds of the longest time without the page: from the last answer before to the first one after."""
    well = [at for at, there in answers if there]
    return max(after - before for before, after in pairwise(well))


@pytest.mark.parametrize("variant", VARIANTS, indirect=True)
def test_a_version_that_fails_is_taken_back_within_the_stated_time_and_nothing_is_lost(
    wiki: RealLab, variant: str
) -> None:
    planned = wiki.planned()
    stated = planned["service", "pages/mediawiki"]["worst_downtime"]
    assert planned["volume", "mediawiki-database"]["verb"] == "copy"
    before, images, last = wiki.containers(), versions(wiki), wiki.document("history")["generations"][0]["number"]
    files = {path: name for path, name in wiki.files().items() if path.startswith("/opt/stacks/")}

    with polled(wiki, "Before") as answers:
        error = wiki.document("apply", "--yes", status=1)["error"]

    assert (error["code"], error["stack"]) == ("went-back", "pages")
    assert "pages did not get well with its new version and was taken back to generation" in error["what"]
    assert "broken on purpose" in error["evidence"]
    assert error["now_runs"] == {name: images[name] for name in OWN}
    assert "broken on purpose" in error["failure"]["evidence"]
    assert versions(wiki) == images
    away = longest_away(answers)
    assert 0 < away <= stated, variant
    assert answers[-1][1]

    assert stored(wiki, "Before") == TEXT
    write_page(wiki, f"After {VERSIONS[variant]}", TEXT)
    after = wiki.containers()
    assert after.keys() == before.keys()
    assert {name: after[name] for name in after.keys() - OWN} == {name: before[name] for name in before.keys() - OWN}
    assert {path: name for path, name in wiki.files().items() if path.startswith("/opt/stacks/")} == files

    newest = wiki.document("history")["generations"][0]
    assert newest["number"] > last
    assert (newest["outcome"], newest["stacks"]["pages"], newest["running"]) == ("went-back", "went-back", True)
    assert {outcome for stack, outcome in newest["stacks"].items() if stack != "pages"} == {"done"}
    still = wiki.planned()["service", "pages/mediawiki"]
    assert still["verb"] == "recreate"
    assert VERSIONS[variant] in still["cause"]
    # Without the broken version nothing is left to do.
    wiki.server.run(["rm", "-r", f"{LAB}/catalog/mediawiki"])
    wiki.ez("plan", "--check")


def versions(lab: RealLab) -> dict[str, str]:
    """What each container is made from."""
    shown = lab.server.docker(["inspect", "--format", "{{.Name}} {{.Config.Image}}", *lab.containers()]).stdout
    return {name.removeprefix("/"): image for name, image in map(str.split, shown.splitlines())}
