"""A Dockerfile taken apart: joined lines, comments between them, options, lists."""

from __future__ import annotations

import shutil
from pathlib import Path

from ez_homelab.catalog.lint.dockerfile import dockerfiles
from ez_homelab.catalog.loader import load_app

TEXT = """\
# Comment
ARG BASE
FROM ${BASE} AS build

RUN one \\
    # between joined lines
    && two "three four"

from ${BASE}
COPY --from=build --chown=1:1 /a /b /c/
VOLUME ["/one", "/two words"]
VOLUME /three /four
LABEL a="b c" \\
      d=e
RUN echo "never closed
"""


def test_instructions(tmp_path: Path) -> None:
    shutil.copytree(Path(__file__).parent / "good-app", tmp_path / "good-app")
    (tmp_path / "good-app" / "image" / "Dockerfile").write_text(TEXT)
    main, database = dockerfiles(load_app(tmp_path / "good-app"))
    assert (main.service, main.file, database.file) == ("good-app", "image/Dockerfile", "images/database/Dockerfile")
    assert [(item.line, item.name) for item in main.instructions] == [
        (2, "ARG"), (3, "FROM"), (5, "RUN"), (9, "FROM"), (10, "COPY"), (11, "VOLUME"), (12, "VOLUME"), (13, "LABEL"),
        (15, "RUN"),
    ]  # fmt: skip
    assert main.of("RUN")[0].words() == ["one", "&&", "two", "three four"]
    [copy] = main.of("COPY")
    assert copy.options() == {"from": "build", "chown": "1:1"}
    assert copy.arguments() == ["/a", "/b", "/c/"]
    assert [item.arguments() for item in main.of("VOLUME")] == [["/one", "/two words"], ["/three", "/four"]]
    assert main.of("LABEL")[0].words() == ["a=b c", "d=e"]
    assert main.of("RUN")[1].words() == ["echo", '"never', "closed"]
    assert [item.name for item in main.last_stage()] == ["FROM", "COPY", "VOLUME", "VOLUME", "LABEL", "RUN"]
    assert set(main.context()) == {"Dockerfile", "requirements.txt"}
