"""Every rule is broken on purpose, by the smallest change to an app that breaks none.

`good-app/` breaks no rule. `lint/CODE/CASE.yaml` holds under `change` what is different in it: a file's text with one
part replaced (`replace`, `by`), a new file (`text`), or `remove: true`; and under `expected` every finding, as
`PLACE: severity [code] message (suggestion)`. `UPDATE_GOLDEN=1 pytest tests/unit/catalog/test_lint.py` rewrites
`expected`: read the difference.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from ez_homelab.catalog.lint import AppRule, all_rules
from ez_homelab.catalog.lint.linter import FORMAT, lint
from ez_homelab.catalog.loader import Catalog, load_app
from ez_homelab.errors import CatalogError

HERE = Path(__file__).parent
CASES = sorted((HERE / "lint").glob("*/*.yaml"))
RULES = {rule.code: rule for rule in all_rules()}


def read(case: Path) -> dict[str, Any]:
    document = yaml.safe_load(case.read_text())
    assert set(document) <= {"change", "expected"}
    return dict(document)


def changed(case: Path, folder: Path) -> Path:
    """The good app with the case's change, in a catalog whose other app is the sound one."""
    app = folder / "good-app"
    shutil.copytree(HERE / "good-app", app)
    shutil.copytree(HERE / "sound-app", folder / "sound-app")
    for name, change in read(case)["change"].items():
        target = app / name
        if change.get("remove"):
            target.unlink()
        elif "text" in change:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(change["text"])
        else:
            before = target.read_text()
            assert before.count(change["replace"]) == 1, f"{change['replace']!r} is not there once"
            target.write_text(before.replace(change["replace"], change["by"]))
    return app


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}/{case.stem}")
def test_a_broken_rule_is_told_with_its_place(case: Path, tmp_path: Path) -> None:
    app = changed(case, tmp_path)
    findings = lint(Catalog((tmp_path,)), [app])
    told = [str(finding).removeprefix(f"{app}/") for finding in findings]
    if os.environ.get("UPDATE_GOLDEN"):
        kept = re.sub(r"(?ms)^expected:.*", "", case.read_text())
        case.write_text(kept + yaml.safe_dump({"expected": told}, width=1000, allow_unicode=True))
    assert told == read(case)["expected"]
    assert {finding.code for finding in findings} == {case.parent.name}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}/{case.stem}")
def test_the_loader_refuses_exactly_the_errors_that_are_the_apps_own(case: Path, tmp_path: Path) -> None:
    app, rule = changed(case, tmp_path), RULES[case.parent.name]
    if isinstance(rule, AppRule) and rule.severity == "error":
        with pytest.raises(CatalogError) as caught:
            load_app(app)
        assert len(caught.value.faults) == len(read(case)["expected"])
    else:
        assert load_app(app).id == "good-app"


def test_every_rule_has_a_case() -> None:
    assert {case.parent.name for case in CASES} == set(RULES)


def test_every_code_is_its_modules_name_and_its_words_are_sentences() -> None:
    modules = {path.stem for path in (HERE.parents[2] / "src/ez_homelab/catalog/lint/rules").glob("[a-z]*.py")}
    assert {code.replace("-", "_") for code in RULES} == modules
    assert FORMAT not in RULES
    for rule in RULES.values():
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", rule.code)
        assert all(text[0].isupper() or text[0] == "`" for text in (rule.demands, rule.why, rule.fix))
        assert all(text.endswith(".") for text in (rule.demands, rule.why, rule.fix))


def test_the_good_app_breaks_no_rule(tmp_path: Path) -> None:
    shutil.copytree(HERE / "good-app", tmp_path / "good-app")
    assert lint(Catalog((tmp_path,)), [tmp_path / "good-app"]) == []


def test_the_shipped_catalog_breaks_no_rule() -> None:
    catalog = Catalog.shipped()
    assert [str(finding) for finding in lint(catalog, [catalog.folder(app_id) for app_id in catalog.ids()])] == []


def test_a_file_in_a_wrong_form_has_the_code_format(tmp_path: Path) -> None:
    folder = tmp_path / "sound-app"
    shutil.copytree(HERE / "sound-app", folder)
    (folder / "compose.yaml").write_text("services:\n  sound-app: {image: 'a:1', ports: ['1:1']}\n")
    [finding] = lint(Catalog((tmp_path,)), [folder])
    assert (finding.code, finding.severity, finding.fault.line) == (FORMAT, "error", 2)


def test_an_app_that_cannot_be_read_does_not_hide_the_others(tmp_path: Path) -> None:
    shutil.copytree(HERE / "good-app", tmp_path / "good-app")
    (tmp_path / "empty-app").mkdir()
    assert {item.app for item in lint(Catalog((tmp_path,)), [tmp_path / "good-app"])} == set()
    assert {item.app for item in lint(Catalog((tmp_path,)), [tmp_path / "empty-app"])} == {"empty-app"}
