"""Can memory be limited? Raspberry Pi OS switches the kernel's memory cgroup off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.doctor.finding import CouldNotLook, Finding, Subject, content_of
from ez_homelab.prerequisites.survey import looking

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ez_homelab.hosts.protocol import Command, Completed

PI_COMMAND_LINE = "/boot/firmware/cmdline.txt"
OLD_PI_COMMAND_LINE = "/boot/cmdline.txt"
OPTIONS = "cgroup_enable=memory cgroup_memory=1"


class MemoryCgroup:
    """The kernel's memory cgroup: without it no app's limit holds, and one app can take the machine down."""

    name = "memory-cgroup"
    about = "whether the kernel can limit memory"

    def probes(self, subject: Subject) -> Mapping[str, Command]:  # noqa: ARG002
        """The kernel's lists for both versions of cgroups, the engine's word, and where a Raspberry Pi boots from."""
        return {
            "v1": content_of("/proc/cgroups"),
            "v2": content_of("/sys/fs/cgroup/cgroup.controllers"),
            "engine": looking("docker", "info", "--format", "{{.MemoryLimit}}"),
            "pi": looking("test", "-e", PI_COMMAND_LINE),
            "old_pi": looking("test", "-e", OLD_PI_COMMAND_LINE),
        }

    def findings(self, subject: Subject, answers: Mapping[str, Completed]) -> tuple[Finding, ...]:  # noqa: ARG002
        """`memory-cgroup-off`."""
        if not answers["v1"].ok and not answers["v2"].ok:
            raise CouldNotLook(answers["v1"].last_line, fix="see that /proc and /sys/fs/cgroup are mounted")
        evidence = _evidence(answers)
        if not evidence:
            return ()
        return (
            Finding(
                "memory-cgroup-off",
                "error",
                "this kernel does not limit memory",
                evidence=evidence,
                cause="the memory cgroup is switched off, as Raspberry Pi OS does to save a little memory",
                fix=_fix(answers),
            ),
        )


def _evidence(answers: Mapping[str, Completed]) -> str:
    """The line that says it is off; empty where it is on. The kernel's word counts before the engine's."""
    if answers["v2"].ok and "memory" in answers["v2"].stdout.split():
        return ""
    for line in answers["v1"].stdout.splitlines():
        fields = line.split()
        if fields[:1] == ["memory"] and fields[-1] == "0":
            return f"/proc/cgroups: {' '.join(fields)}"
    engine = answers["engine"]
    if engine.ok and engine.stdout.strip() == "false":
        return "docker info: no memory limit support"
    return ""


def _fix(answers: Mapping[str, Completed]) -> str:
    for name, path in (("pi", PI_COMMAND_LINE), ("old_pi", OLD_PI_COMMAND_LINE)):
        if answers[name].ok:
            return f"append to the one line in {path}: {OPTIONS}  (then reboot)"
    return (
        f"add to the kernel's command line: {OPTIONS}  (GRUB_CMDLINE_LINUX in /etc/default/grub, update-grub, reboot)"
    )
