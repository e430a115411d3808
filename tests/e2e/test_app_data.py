"""What people write into an app stays: over an apply, and over taking the lab down and up again."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import TYPE_CHECKING

from real_lab import CHECKOUT, DOMAIN, LAB

if TYPE_CHECKING:
    from real_lab import RealLab

PAGE = f"https://dokuwiki.{DOMAIN}/doku.php?id=kept"
JAR = "/root/cookies"
TEXT = "Bins: Tuesday\n\nA line with 'quotes', $HOME & ümläuts.\n"


class EditForm(HTMLParser):
    """The hidden fields of DokuWiki's editor, as a browser would send them back."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self._inside = False
        self.fields: dict[str, str] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form":
            self._inside = given.get("id") == "dw__editform"
        elif tag == "input" and self._inside and given.get("type") == "hidden":
            self.fields[given["name"] or ""] = given.get("value") or ""


def write_page(lab: RealLab, text: str) -> None:
    """Write it through the wiki's own editor, as a browser does: open the form, send all of it back."""
    session = ("-b", JAR, "-c", JAR, "-L", "--fail")
    form = EditForm(lab.curl(f"{PAGE}&do=edit", *session).stdout)
    assert "sectok" in form.fields
    fields = [*form.fields.items(), ("wikitext", text), ("summary", "test"), ("do[save]", "Save")]
    sent = [word for name, value in fields for word in ("--data-urlencode", f"{name}={value}")]
    lab.curl(PAGE, *session, *sent)


def stored(lab: RealLab) -> str:
    """The page's text as the wiki gives it out."""
    return lab.curl(f"{PAGE}&do=export_raw", "--fail").stdout


def test_a_page_survives_apply_down_and_up(lab: RealLab) -> None:
    write_page(lab, TEXT)
    assert stored(lab) == TEXT
    assert "Bins: Tuesday" in lab.curl(PAGE, "--fail").stdout

    text = lab.text
    lazy = "        lazy: {mode: stop}\n"
    lab.write(text.replace(lazy, f"{lazy}        environment: {{SOME_SETTING: other}}\n"))
    assert {key: action["verb"] for key, action in lab.planned().items()} == {
        ("file", "/opt/stacks/wiki/compose.yaml"): "replace",
        ("service", "wiki/dokuwiki"): "recreate",
        ("on-demand", "dokuwiki"): "release",
    }
    container = lab.containers()["dokuwiki"]
    lab.ez("apply", "--yes")
    assert lab.containers()["dokuwiki"] != container
    assert stored(lab) == TEXT

    lab.write(text)
    before = lab.everything()
    down = lab.ez("down", "--yes")
    assert down.stdout.rstrip().endswith("Data stays.")
    assert lab.containers() == {}
    assert lab.volumes() == before[2]
    assert lab.files() == before[4]
    states = {app["state"] for app in lab.document("status", status=1)["apps"]}
    assert states == {"missing"}
    lab.ez("plan", "--check", status=3)
    assert lab.ez("down", "--yes").returncode == 0

    lab.server.run([f"{CHECKOUT}/ez-homelab.sh", "up", "--yes", "--lab", LAB])
    assert stored(lab) == TEXT
    assert {app["state"] for app in lab.document("status")["apps"]} <= {"running", "asleep"}
    assert lab.volumes() == before[2]
