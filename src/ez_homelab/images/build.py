"""Building on a server: the Debian base, and package editions on top of it.

One build at a time on a server. What a build needs lies in one folder; it is removed when the build ends, and what a
killed build has left there is ended and removed by the next one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.errors import CommandError, PrerequisiteError
from ez_homelab.hosts.protocol import Command, command, run_checked
from ez_homelab.images import recipe
from ez_homelab.images.causes import BUILD_CAUSES, failing_step, recognise
from ez_homelab.images.editions import context_tar
from ez_homelab.images.reference import as_listed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ez_homelab.hosts.protocol import Completed, Host
    from ez_homelab.images.editions import PackageEdition

    Say = Callable[[str], None]

BUILD_FOLDER = "/var/lib/ez-homelab/build"
BUILD_LOCK = "/var/lib/ez-homelab/build.lock"
BUILD_TIMEOUT = 3600.0
_ROOT = f"{BUILD_FOLDER}/root"
_CERTIFICATES = "/usr/local/share/ca-certificates"
# In a mount and a process namespace of its own, a step that dies takes its mounts and its children with it.
_APART = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
# Inside the new root a temporary folder of the server's does not exist.
_INSIDE: Mapping[str, str] = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C", "TMPDIR": "/tmp"}  # noqa: S108
_PROXY_NAMES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
# Ends what a killed build has left running: processes that name its folder and are in namespaces made for it. The
# network is looked at because test servers share one machine's processes and each has a folder of that name.
_END_LEFTOVERS = b"""\
here=$(readlink /proc/self/ns/net)
for entry in /proc/[0-9]*; do
    [ "$(readlink "$entry/ns/net" 2>/dev/null)" = "$here" ] || continue
    line=$(tr '\\0' ' ' <"$entry/cmdline" 2>/dev/null) || continue
    case $line in "unshare --mount "*" $1"*) kill -KILL "${entry#/proc/}" 2>/dev/null ;; esac
done
exit 0
"""


async def present(host: Host, tags: Iterable[str]) -> set[str]:
    """Those of the image references (`name:tag` or `name@digest`) that the server's engine holds."""
    listing = await run_checked(
        host,
        command(
            *("docker", "image", "ls", "--digests"),
            *("--format", "{{.Repository}}:{{.Tag}} {{.Repository}}@{{.Digest}}"),
            changes=False,
        ),
        what="the server's images could not be listed",
        fix="ez-homelab doctor",
    )
    held = set(listing.stdout.split())
    return {tag for tag in tags if as_listed(tag) in held}


async def build_base(host: Host, say: Say) -> None:
    """Make the base that all package editions share, unless the server has it. About half a minute and 100 MB.

    Raises `PrerequisiteError` where debootstrap or Debian's keys are missing, `CommandError` where a step fails,
    `LockedError` where another build runs on this server.
    """
    async with host.lock(BUILD_LOCK, "a build of images"):
        await _build_base(host, say)


async def build_edition(host: Host, edition: PackageEdition, say: Say) -> None:
    """Build one edition, and the base where the server lacks it, unless the server has it. `say` gets each line.

    Raises as `build_base` does; the evidence of a `CommandError` begins with the step that failed.
    """
    await build_missing(host, [edition], say)


async def build_missing(host: Host, editions: Iterable[PackageEdition], say: Say) -> list[str]:
    """Build what the server does not have of these editions, and the base if one of them needs it; the tags built.

    Faster than one by one: steps that several editions share run once. Raises as `build_edition` does; the editions
    that were built before stay.
    """
    wanted = {edition.tag: edition for edition in editions}
    async with host.lock(BUILD_LOCK, "a build of images"):
        missing = sorted(wanted.keys() - await present(host, wanted))
        try:
            if missing:
                await _build_base(host, say)
            for tag in missing:
                await _build_edition(host, wanted[tag], say)
        finally:
            await _tidy(host)
    return missing


async def _build_edition(host: Host, edition: PackageEdition, say: Say) -> None:
    # A proxy that the server goes through is handed on by name; docker keeps these out of the image's history.
    proxies = [word for name in _PROXY_NAMES for word in ("--build-arg", name)]
    wanted = Command(
        (
            *("docker", "build", "--force-rm", "--tag", edition.tag),
            *("--build-arg", f"BASE={recipe.BASE_TAG}", *proxies, "-"),
        ),
        # The builder that every Docker has; the other one is a plug-in that Debian's package lacks.
        environment={"DOCKER_BUILDKIT": "0"},
        stdin=context_tar(edition),
        timeout=BUILD_TIMEOUT,
    )
    say(f"building {edition.tag}")
    completed = await host.run(wanted, on_line=say)
    if not completed.ok:
        raise _failed(f"the package edition {edition.tag} could not be built on {host.name}", completed)


async def _build_base(host: Host, say: Say) -> None:
    if await present(host, [recipe.BASE_TAG]):
        return
    await _check_prerequisites(host)
    await _remove_leftovers(host)
    try:
        await _make_root(host, say)
        await _import_root(host, say)
    finally:
        await _remove_leftovers(host)


async def _check_prerequisites(host: Host) -> None:
    there = await host.states([recipe.KEYRING])
    tool = await host.run(command("debootstrap", "--version"))
    if tool.status != 127 and there[recipe.KEYRING] is not None:
        return
    raise PrerequisiteError(
        f"the Debian base of the package editions cannot be made on {host.name}",
        evidence=tool.last_line if tool.status == 127 else f"{recipe.KEYRING}: no such file",
        cause="debootstrap or the keys of Debian's package archive are not installed",
        fix="apt-get install debootstrap debian-archive-keyring",
    )


async def _make_root(host: Host, say: Say) -> None:
    """A Debian root folder with settings, certificates and security updates, without what images do not need."""
    mirror = recipe.debian_mirror(*await _read_sources(host))
    say(f"Debian base: fetching packages from {mirror.main}")
    # Before the first package: debootstrap's second half then takes two thirds of the time.
    await host.write(f"{_ROOT}/etc/dpkg/dpkg.cfg.d/90ez-homelab", recipe.DPKG_SETTINGS.encode())
    await _step(
        host,
        (
            *(*_APART, "debootstrap", "--variant=minbase", f"--include={','.join(recipe.PACKAGES)}"),
            *(f"--keyring={recipe.KEYRING}", recipe.SUITE, _ROOT, mirror.main),
        ),
        say,
        log=f"{_ROOT}/debootstrap/debootstrap.log",
    )
    await host.write(f"{_ROOT}/etc/apt/sources.list", mirror.sources_list().encode())
    await host.write(f"{_ROOT}/etc/apt/apt.conf.d/90ez-homelab", recipe.APT_SETTINGS.encode())
    await _copy_certificates(host)
    say("Debian base: certificates and security updates")
    for inside in (
        ("update-ca-certificates",),
        # Ends well where only the security archive is out of reach; the base is then as new as the main archive.
        ("apt-get", "update"),
        ("apt-get", "--assume-yes", "dist-upgrade"),
    ):
        await _step(host, (*_APART, "chroot", _ROOT, *inside), say, environment=_INSIDE)
    await _trim(host, say)


async def _read_sources(host: Host) -> tuple[str, dict[str, str]]:
    paths = ["/etc/apt/sources.list", *(await host.list_files("/etc/apt/sources.list.d") or [])]
    texts = {path: await _read_text(host, path) for path in paths if path.endswith((".list", ".sources"))}
    return await _read_text(host, "/etc/os-release"), texts


async def _read_text(host: Host, path: str) -> str:
    return (await host.read(path) or b"").decode(errors="replace")


async def _copy_certificates(host: Host) -> None:
    """The server's own certificate authorities: behind an inspecting proxy nothing can be fetched without them."""
    for path in await host.list_files(_CERTIFICATES) or []:
        content = await host.read(path)
        if path.endswith(".crt") and content:
            await host.write(f"{_ROOT}{path}", content)


async def _trim(host: Host, say: Say) -> None:
    documents = ("find", f"{_ROOT}/usr/share/doc", "!", "-name", "copyright", "!", "-type", "d", "-delete")
    await _step(host, documents, say)
    await _step(host, ("rm", "-rf", *(f"{_ROOT}/{folder}" for folder in recipe.REMOVED)), say)
    emptied = [f"{_ROOT}/{folder}" for folder in recipe.EMPTIED]
    await _step(host, ("find", *emptied, "-mindepth", "1", "-delete"), say)
    # debootstrap copies the server's; Docker puts a container's own in their place.
    for name in ("hostname", "resolv.conf"):
        await host.write(f"{_ROOT}/etc/{name}", b"")


async def _import_root(host: Host, say: Say) -> None:
    say(f"Debian base: importing {recipe.BASE_TAG}")
    archive = f"{BUILD_FOLDER}/base.tar"
    left_out = [f"--exclude={pattern}" for pattern in recipe.NOT_PACKED]
    await _step(
        host, ("tar", "--create", "--file", archive, "--directory", _ROOT, "--numeric-owner", *left_out, "."), say
    )
    label = f'LABEL {recipe.BASE_LABEL}="{recipe.RECIPE_HASH[:12]}"'
    changes = [word for change in (*recipe.IMAGE_SETTINGS, label) for word in ("--change", change)]
    await _step(host, ("docker", "import", *changes, archive, recipe.BASE_TAG), say)


async def _step(
    host: Host, argv: Iterable[str], say: Say, *, environment: Mapping[str, str] | None = None, log: str = ""
) -> None:
    """Run it; where it fails, the cause is looked for in what it said and in the log that it keeps."""
    wanted = Command(tuple(argv), environment=environment or {}, timeout=BUILD_TIMEOUT)
    completed = await host.run(wanted, on_line=say)
    if not completed.ok:
        kept = await _read_text(host, log) if log else ""
        raise _failed(f"the Debian base of the package editions could not be made on {host.name}", completed, kept)


async def _remove_leftovers(host: Host) -> None:
    what = "what a build has left behind could not be removed"
    await run_checked(host, command("sh", "-s", BUILD_FOLDER, stdin=_END_LEFTOVERS), what=what)
    # Never into another file system: whatever is mounted in there is not ours to delete.
    await run_checked(host, command("rm", "-rf", "--one-file-system", BUILD_FOLDER, timeout=300), what=what)


async def _tidy(host: Host) -> None:
    """Remove what builds leave: unnamed images of earlier stages and of a build that failed, and the containers of
    steps where the engine itself was killed.

    Only those made from our base. What is still in use stays, so the outcome does not matter here.
    """
    steps = await _step_containers(host)
    if steps:
        await host.run(command("docker", "rm", "--volumes", *steps, timeout=300))
    await host.run(
        command("docker", "image", "prune", "--force", "--filter", f"label={recipe.BASE_LABEL}", timeout=300)
    )


async def _step_containers(host: Host) -> list[str]:
    """Ids of containers in which a build's step ran, or was to run: those alone are made of an image without a name."""
    states = [word for state in ("created", "exited", "dead") for word in ("--filter", f"status={state}")]
    ours = ("--filter", f"label={recipe.BASE_LABEL}")
    listing = await host.run(command("docker", "ps", "--all", "--quiet", "--no-trunc", *ours, *states, changes=False))
    if not (ids := listing.stdout.split()):
        return []
    told = ("docker", "inspect", "--type", "container", "--format", "{{.Id}} {{.Config.Image}}")
    inspected = await host.run(command(*told, *ids, changes=False))
    rows = (line.split() for line in inspected.stdout.splitlines())
    return [row[0] for row in rows if len(row) == 2 and row[1].startswith("sha256:")]


def _failed(what: str, completed: Completed, log: str = "") -> CommandError:
    output = f"{log}\n{completed.stdout}\n{completed.stderr}"
    finding = recognise(output, BUILD_CAUSES)
    evidence = "\n".join(line for line in (failing_step(output), finding.evidence) if line)
    return CommandError(
        f"{what} (status {completed.status})",
        evidence=evidence,
        cause=finding.meaning,
        fix=finding.fix or "run it again; where it fails the same way, report it with the lines above",
    )
