"""The end of the section ``config.network``: what was set becomes a `NetworkSpec`."""

from __future__ import annotations

from haconiwa.spec.network import InterfaceSpec, NetworkSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from haconiwa.dsl.builder import Container

_BRIDGE_SETTINGS = (
    "add_interface", "allow_egress", "bridge_ip", "bridge_name", "container_ip", "download", "namespace", "netmask",
    "publish", "upload", "veth_guest", "veth_host",
)  # fmt: skip
"""What makes no sense without a bridge, and says that one is wanted."""
_NAME_SETTINGS = ("dns", "hosts", "ipv6", "mtu", "search")
"""What makes no sense with the host's network either."""


def network_mode(container: Container) -> str:
    """``bridge``, ``none``, ``host`` or ``share``, as the settings of a container say or imply."""
    section = container.network
    if section._values.get("share"):
        return "share"
    if section.mode:
        return section.mode
    return "bridge" if any(f"network.{name}" in container._sources for name in _BRIDGE_SETTINGS) else "host"


def freeze_network(container: Container) -> NetworkSpec | None:
    """The network of a container; None where it is the host's or somebody else's matter."""
    section, values = container.network, container.network._values
    mode = network_mode(container)
    if mode != "bridge":
        _refuse_idle(container, mode)
    if mode == "host":
        return None
    own: list[InterfaceSpec] = values.get("interfaces", [])
    return NetworkSpec(
        mode=mode,  # type: ignore[arg-type]
        share=values.get("share", ""),
        interfaces=(_first_interface(container), *own) if mode == "bridge" else (),
        namespace=section.namespace,
        cleanup=section.cleanup,
        ipv6=section.ipv6,
        mtu=section.mtu,
        publish=tuple(values.get("publish", ())),
        egress=tuple(values["egress"]) if "egress" in values else None,
        dns=section.dns,
        search=section.search,
        hosts=dict(section.hosts),
        upload_bits=section.upload,
        download_bits=section.download,
        where=next((where for name, where in container._sources.items() if name.startswith("network.")), None),
    )


def _refuse_idle(container: Container, mode: str) -> None:
    """Record what was set and would do nothing."""
    useless = _BRIDGE_SETTINGS if mode != "host" else (*_BRIDGE_SETTINGS, *_NAME_SETTINGS)
    how = "with the network of another container" if mode == "share" else f'with mode = "{mode}"'
    for name in useless:
        where = container._sources.get(f"network.{name}")
        if where is not None:
            container._load.refuse(f"network.{name}: does nothing {how}", where, 'set network.mode = "bridge"')


def _first_interface(container: Container) -> InterfaceSpec:
    section, defaults = container.network, container._load.defaults
    bridge = section._values.get("bridge_name") or defaults.bridge_name
    bridge_ip = section.bridge_ip or (defaults.bridge_ip if bridge == defaults.bridge_name else "")
    if bridge_ip and "/" not in bridge_ip:
        bridge_ip = f"{bridge_ip}/{section.netmask}"
    names = ("container_ip", "bridge_name", "bridge_ip", "mode", "publish")
    return InterfaceSpec(
        name=section.veth_guest,
        bridge=bridge,
        bridge_ip=bridge_ip,
        address=section.container_ip,
        host_name=section.veth_host,
        where=next((container._sources[f"network.{n}"] for n in names if f"network.{n}" in container._sources), None),
    )
