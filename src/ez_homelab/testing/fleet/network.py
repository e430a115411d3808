"""The fleet's network: a router in a network namespace of its own, so that the machine's own network is never touched.

The router holds a bridge with all servers on it, answers for names (dnsmasq), and leads out through slirp4netns, an
ordinary process that opens ordinary connections: no forwarding, no firewall rule and no interface on the machine.
"""

from __future__ import annotations

import ipaddress
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ez_homelab.errors import CommandError, PrerequisiteError, UsageError
from ez_homelab.testing.fleet.processes import ProcessRecord, check_call, start_detached, wait_until
from ez_homelab.testing.fleet.state import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ez_homelab.testing.fleet.state import ServerState

DOMAIN = "lab.home.arpa"
_OUTSIDE_RESOLVER = "10.0.2.3"  # slirp4netns(1): its default network's name server, which asks the machine's own
_OFFLINE_PORT = 5353  # the name server for servers whose way out is cut: knows the fleet and nothing else


def free_subnet(taken: Iterable[str]) -> str:
    """The first of 10.111.0.0/24 ... 10.111.255.0/24 that no fleet has and no route of the machine leads to."""
    routes = json.loads(check_call(["ip", "-json", "-4", "route"], what="the machine's routes could not be read"))
    used = [ipaddress.ip_network(text, strict=False) for text in taken]
    used += [ipaddress.ip_network(route["dst"], strict=False) for route in routes if route["dst"] != "default"]
    for number in range(256):
        subnet = ipaddress.ip_network(f"10.111.{number}.0/24")
        if not any(subnet.overlaps(other) for other in used):
            return str(subnet)
    raise UsageError("no range below 10.111.0.0/16 is free for a fleet", fix="name one with `subnet`")


def address_of(subnet: str, index: int) -> str:
    """The address of the router (index 0) or of a server (from 1). Raises `UsageError` where the range is full."""
    network = ipaddress.ip_network(subnet)
    number = 1 if index == 0 else 10 + index
    if number > network.num_addresses - 2:
        raise UsageError(f"the range {subnet} has no room for server {index}")
    return str(network[number])


def in_network_of(pid: int, argv: Sequence[str]) -> list[str]:
    """The command that runs a program of the machine in the network namespace of a process."""
    return ["nsenter", f"--net=/proc/{pid}/ns/net", *argv]


@dataclass(frozen=True, slots=True)
class Router:
    """The fleet's router; `holder` is the process whose network namespace it is."""

    holder: ProcessRecord
    subnet: str

    @classmethod
    def start(cls, subnet: str, *, folder: Path, cgroup_files: Sequence[Path]) -> tuple[Router, ProcessRecord]:
        """Make the namespace, the bridge and the way out; returns the router and the process of the way out."""
        log = folder / "router.log"
        holder = start_detached(["unshare", "--net", "sleep", "infinity"], log=log, cgroup_files=cgroup_files)
        own = Path("/proc/self/ns/net").readlink()
        if not wait_until(lambda: Path(f"/proc/{holder.pid}/ns/net").readlink() != own, 5):
            raise CommandError("the fleet's router got no network namespace")
        router = cls(holder, subnet)
        length = ipaddress.ip_network(subnet).prefixlen
        router.ip(
            "link set lo up",
            "link add lan type bridge",
            f"address add {router.address}/{length} dev lan",
            "link set lan up",
        )
        return router, router._lead_out(log, cgroup_files)

    @property
    def address(self) -> str:
        """The router's address: the servers' gateway and name server."""
        return address_of(self.subnet, 0)

    def ip(self, *lines: str) -> None:
        """Run lines of ip(8) in the router, all with one process."""
        _ip(self.holder.pid, lines)

    def connect(self, server: ServerState) -> None:
        """Put the cable in: a link between the bridge and the server's eth0, the address, the default route."""
        if server.init is None:
            raise CommandError(f"{server.name} is off")
        link = f"s{server.index}"
        self.ip(
            f"link add {link} type veth peer name eth0 netns {server.init.pid}",
            f"link set {link} master lan up",
        )
        length = ipaddress.ip_network(self.subnet).prefixlen
        lines = ("link set lo up", f"address add {server.address}/{length} dev eth0", "link set eth0 up")
        _ip(server.init.pid, (*lines, f"route add default via {self.address}"))

    def disconnect(self, server: ServerState) -> None:
        """Pull the cable out for good. No error where there is none.

        The kernel takes a dead server's links away by itself, some time soon: it may be faster than we are.
        """
        link = f"s{server.index}"
        try:
            if link in self._links():
                self.ip(f"link delete {link}")
        except CommandError:
            if link in self._links():
                raise

    def _links(self) -> set[str]:
        listed = self._call(["ip", "-json", "link"], what="the router's links could not be read")
        return {link["ifname"] for link in json.loads(listed)}

    def set_link(self, server: ServerState, *, up: bool) -> None:
        """Take the server's link down or up: the cable out of the switch and in again."""
        self.ip(f"link set s{server.index} {'up' if up else 'down'}")

    def set_online(self, server: ServerState, *, online: bool) -> None:
        """Cut the server's way out, names of the outside included, or open it again. Its neighbours stay in reach."""
        refuse = ("FORWARD", "-s", server.address, "-o", "tap0", "-j", "REJECT")
        self._iptables("-D" if online else "-I", *refuse)
        for protocol in ("udp", "tcp"):
            match = ("PREROUTING", "-s", server.address, "-p", protocol, "--dport", "53")
            to = ("-j", "REDIRECT", "--to-ports", str(_OFFLINE_PORT))
            self._iptables("-t", "nat", "-D" if online else "-I", *match, *to)

    def disturb(self, server: ServerState, *, delay_ms: int, loss_percent: float) -> None:
        """Delay and lose packets on their way to the server (tc-netem(8)); both 0: as before.

        Raises `PrerequisiteError` where the kernel has no netem.
        """
        device = ("dev", f"s{server.index}", "root")
        how = ("netem", "delay", f"{delay_ms}ms", "loss", f"{loss_percent}%")
        what = f"packets to {server.name} could not be delayed or lost"
        try:
            if delay_ms or loss_percent:
                self._call(["tc", "qdisc", "replace", *device, *how], what=what)
            else:
                self._call(["tc", "qdisc", "replace", *device, "pfifo_fast"], what=what)
        except CommandError as error:
            raise PrerequisiteError(
                error.what,
                evidence=error.evidence,
                cause="this kernel was most likely built without netem (CONFIG_NET_SCH_NETEM)",
                fix="modprobe sch_netem, or run these tests on a kernel that has it",
            ) from error

    def start_names(
        self, servers: Iterable[ServerState], *, folder: Path, cgroup_files: Sequence[Path]
    ) -> dict[str, ProcessRecord]:
        """Start the two name servers, which know `<server>.lab.home.arpa` and everything below it."""
        known = [f"address=/{server.name}.{DOMAIN}/{server.address}" for server in servers]
        started = {}
        for role, port, upstream in (
            ("names", 53, [f"server={_OUTSIDE_RESOLVER}"]),
            ("names-offline", _OFFLINE_PORT, []),
        ):
            lines = [
                *("no-hosts", "no-resolv", "bind-interfaces", "user=root", f"local=/{DOMAIN}/"),
                *(f"listen-address={self.address}", f"port={port}", f"pid-file={folder / role}.pid"),
                *(upstream + known),
            ]
            configuration = folder / f"{role}.conf"
            write_whole(configuration, "\n".join(lines) + "\n")
            argv = ["dnsmasq", "--keep-in-foreground", "--log-facility=-", f"--conf-file={configuration}"]
            process = start_detached(
                in_network_of(self.holder.pid, argv), log=folder / f"{role}.log", cgroup_files=cgroup_files
            )
            self._wait_for_names(process, port, folder / f"{role}.log")
            started[role] = process
        return started

    def _wait_for_names(self, process: ProcessRecord, port: int, log: Path) -> None:
        sockets = Path(f"/proc/{self.holder.pid}/net/udp")
        bound = f":{port:04X} 00000000:0000"
        if not wait_until(lambda: bound in sockets.read_text(encoding="ascii") or not process.alive, 5):
            process.end()
        if not process.alive:
            raise CommandError(
                "the fleet's name server does not start", evidence=log.read_text(encoding="utf-8")[-500:]
            )

    def _lead_out(self, log: Path, cgroup_files: Sequence[Path]) -> ProcessRecord:
        reader, writer = os.pipe()
        try:
            options = ["--configure", "--mtu=1500", "--disable-host-loopback", f"--ready-fd={writer}"]
            argv = ["slirp4netns", *options, str(self.holder.pid), "tap0"]
            process = start_detached(argv, log=log, cgroup_files=cgroup_files, pass_fds=(writer,))
            os.close(writer)
            writer = -1
            if not os.read(reader, 1):  # slirp4netns writes one byte when the way is open; nothing comes when it ended
                raise CommandError("slirp4netns gives no way out", evidence=log.read_text(encoding="utf-8")[-500:])
        finally:
            os.close(reader)
            if writer >= 0:
                os.close(writer)
        self._call(["tee", "/proc/sys/net/ipv4/ip_forward"], what="the router does not forward", stdin="1")
        self._iptables("-t", "nat", "-A", "POSTROUTING", "-s", self.subnet, "-o", "tap0", "-j", "MASQUERADE")
        return process

    def _iptables(self, *arguments: str) -> None:
        self._call(["iptables", "-w", "10", *arguments], what="a rule in the fleet's router could not be changed")

    def _call(self, argv: Sequence[str], *, what: str, stdin: str = "") -> str:
        return check_call(in_network_of(self.holder.pid, argv), what=what, stdin=stdin)


def _ip(pid: int, lines: Sequence[str]) -> None:
    argv = in_network_of(pid, ["ip", "-batch", "-"])
    check_call(argv, what="the fleet's network could not be set up", stdin="\n".join(lines) + "\n")
