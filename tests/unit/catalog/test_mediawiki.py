"""What MediaWiki's files promise beyond what the linter asks of every app."""

from __future__ import annotations

import re
from pathlib import Path

from ez_homelab.catalog.loader import Catalog

APP = Catalog.shipped().app("mediawiki")
SETTINGS = APP.files["LocalSettings.php.j2"].decode()
VERSION = "1.39.17"


def test_the_database_is_reached_by_the_wiki_alone_and_waited_for() -> None:
    assert APP.manifest.network.internal_only == ("database",)
    assert APP.compose.services["mediawiki"].depends_on == {"database": "service_started"}
    assert "connect();" in APP.files["prepare.php"].decode(), "it waits for the database itself"


def test_both_containers_are_given_the_same_database() -> None:
    wiki, database = (APP.compose.services[name].environment for name in ("mediawiki", "database"))
    assert wiki["MEDIAWIKI_DB_NAME"] == database["MARIADB_DATABASE"]
    assert wiki["MEDIAWIKI_DB_USER"] == database["MARIADB_USER"]
    assert wiki["MEDIAWIKI_DB_PASSWORD_FILE"] == database["MARIADB_PASSWORD_FILE"]
    assert wiki["MEDIAWIKI_DB_HOST"] in APP.compose.services


def test_no_password_is_in_the_settings_and_each_is_read_from_its_file() -> None:
    read = re.findall(r"\$(\w+) = trim\(\(string\) file_get_contents\((.*)\)\);", SETTINGS)
    assert read == [
        ("wgDBpassword", "getenv('MEDIAWIKI_DB_PASSWORD_FILE')"),
        ("wgSecretKey", "'/run/secrets/secret_key'"),
    ]
    assert "$wgServer = 'https://{{ host }}';" in SETTINGS


def test_a_new_password_is_never_an_argument() -> None:
    rotations = {secret.id: secret.rotate for secret in APP.manifest.secrets if secret.rotate.how == "command"}
    assert rotations.keys() == {"db_password", "root_password", "admin_password"}
    for name in ("db_password", "root_password"):
        program, option, script = rotations[name].command
        assert (program, option) == ("bash", "-c")
        # printf is bash's own: no process of its own has the value among its arguments.
        assert script.startswith("read -r value && printf ")
        assert script.endswith("| mariadb --user=mysql")


def test_the_broken_variants_replace_files_that_the_edition_has() -> None:
    overlays = Path(__file__).parents[2] / "e2e/catalog-broken"
    replaced = {path.relative_to(variant) for variant in overlays.iterdir() for path in variant.rglob("*-*")}
    assert replaced == {Path("image/apache2-foreground")}
    assert (APP.folder / "image/apache2-foreground").is_file()


def test_the_broken_variants_find_the_version_that_they_replace() -> None:
    assert f"image_version: {VERSION}" in (APP.folder / "service.yaml").read_text()
    assert f'image.version="{VERSION}"' in (APP.folder / "image/Dockerfile").read_text()
