"""A fake server with one app on one volume: just enough of Docker and of the file tools for copies and the way back.

Whatever runs on the volume may write into it. `data` is what the volume holds, `trees` what the folders of copies hold.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ez_homelab.hosts.protocol import Completed
from ez_homelab.testing.fake_host import FakeHost

if TYPE_CHECKING:
    from ez_homelab.hosts import Command

MOUNT = "/volumes/wiki-db"


class ServerWithData(FakeHost):
    def __init__(self) -> None:
        super().__init__("core")
        self.data = "written by 1"
        self.trees: dict[str, str] = {}
        self.containers: dict[str, tuple[str, str, bool]] = {"wiki": ("id1", "wiki:1", True)}
        self.free = 1 << 40
        self.ill: set[str] = set()
        """Images whose containers end at once, after they have written."""
        self.fails: str = ""
        """A command with this text fails, once."""
        self.engine_dies_at: int | None = None
        """From the order or question to the engine with this number (from 1) on it answers nothing more."""
        self.dies_after = False
        """Whether it still carries that one out."""
        self.asked = 0
        """How often the engine was asked for something."""
        self._count = 1
        self.answer(lambda _command: True, does=self._any)

    @property
    def running(self) -> str:
        """The image that runs."""
        _, image, runs = self.containers.get("wiki", ("", "", False))
        return image if runs else ""

    def write_something(self, text: str) -> None:
        assert self.running
        self.data = text

    def _any(self, command: Command) -> Completed:
        text = str(command)
        if self.fails and self.fails in text:
            self.fails = ""
            return Completed(command, 1, "", "No space left on device\n")
        words = command.argv[3:] if command.argv[0] == "flock" else command.argv
        if words[0] == "docker":
            return self._asked(command, words[1:])
        return Completed(command, 0, self._tool(words), "")

    def _tool(self, words: tuple[str, ...]) -> str:
        paths = [word for word in words if word.startswith("/")]
        match words[0]:
            case "install" | "mkdir":
                self.folders |= {*paths}
            case "find":
                return self._find(words)
            case "du":
                return "".join(f"1000\t{folder}\n" for folder in paths)
            case "stat":
                return f"{self.free} 1\n"
            case "cp":
                self._copy(words[-2].removesuffix("/."), words[-1])
            case "mv":
                self.trees[words[-1]] = self.trees.pop(words[-2])
                self.folders = self.folders - {words[-2]} | {words[-1]}
            case "rm" | "rmdir":
                self._gone(paths)
        return ""

    def _find(self, words: tuple[str, ...]) -> str:
        if "-delete" in words:
            self.data = ""
            return ""
        below = (path.removeprefix(f"{words[1]}/") for path in self.folders if path.startswith(f"{words[1]}/"))
        return "".join(f"{name}\n" for name in sorted(below) if "/" not in name)

    def _copy(self, source: str, target: str) -> None:
        assert not self.running, "copied while the app runs"
        if source == MOUNT:
            self.trees[target] = self.data
        else:
            self.data = self.trees[source]

    def _gone(self, folders: list[str]) -> None:
        def stays(path: str) -> bool:
            return not any(path == folder or path.startswith(f"{folder}/") for folder in folders)

        self.folders = {path for path in self.folders if stays(path)}
        self.files = {path: file for path, file in self.files.items() if stays(path)}
        self.trees = {path: tree for path, tree in self.trees.items() if stays(path)}

    def _asked(self, command: Command, words: tuple[str, ...]) -> Completed:
        self.asked += 1
        dies_at = self.engine_dies_at or self.asked + 1
        if self.asked < dies_at:
            return self._docker(command, words)
        if self.asked == dies_at and self.dies_after:
            self._docker(command, words)
        return Completed(command, 1, "", "Cannot connect to the Docker daemon at unix:///var/run/docker.sock.\n")

    def _docker(self, command: Command, words: tuple[str, ...]) -> Completed:
        match words[:2]:
            case ("container", "inspect"):
                shown = [self._document(name) for name in self._named(words[2:])]
                return Completed(command, 0 if len(shown) == len(words) - 2 else 1, json.dumps(shown), "")
            case ("container", verb):
                self._order(verb, self._named(words[2:]))
            case ("volume", "inspect"):
                return Completed(command, 0, f"{MOUNT}\n", "")
            case ("network", "inspect"):
                return Completed(command, 0, "[]", "")
            case ("logs", _):
                return Completed(command, 0, "cannot upgrade\n", "")
            case ("compose", _):
                compose = self.files[f"{command.directory}/compose.yaml"].content.decode()
                self._count += 1
                self._run(f"id{self._count}", compose.strip())
        return Completed(command, 0, "", "")

    def _named(self, words: tuple[str, ...]) -> list[str]:
        return [name for name, (identifier, _, _) in self.containers.items() if {name, identifier} & {*words}]

    def _order(self, verb: str, names: list[str]) -> None:
        for name in names:
            identifier, image, _ = self.containers[name]
            if verb == "rm":
                del self.containers[name]
            elif verb == "stop":
                self.containers[name] = (identifier, image, False)
            else:
                self._run(identifier, image)

    def _run(self, identifier: str, image: str) -> None:
        if image != "wiki:1":
            self.data = f"altered by {image}"
        self.containers["wiki"] = (identifier, image, image not in self.ill)

    def _document(self, name: str) -> dict[str, object]:
        identifier, image, runs = self.containers[name]
        return {
            "Id": identifier, "Name": f"/{name}", "Image": f"sha256:{image}", "RestartCount": 0,
            "Config": {"Image": image, "Labels": {"ez-homelab.fingerprint": image}},
            "State": {"Status": "running" if runs else "exited", "ExitCode": 0, "OOMKilled": False, "Error": "",
                      "StartedAt": ""},
            "NetworkSettings": {"Networks": {}}, "HostConfig": {"PortBindings": {}},
        }  # fmt: skip
