//! How a node's packets reach the fabric: a TUN device, or where /dev/net/tun cannot be opened an AF_PACKET
//! socket on the far end of a veth pair.
//!
//! Both carry a virtio header of [`VNET_HEADER`] bytes before each packet, so that the kernel leaves TCP
//! segmentation and checksums to us: a super-packet of up to 64 KiB passes in one read and one write.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::fcntl::{OFlag, open};
use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use nix::sys::stat::Mode;

use crate::netlink::{LinkSettings, Netlink, interface_index};
use crate::protocol::{Failed, NodePlan, Plan, Wire};
use crate::sys;

/// Bytes of `struct virtio_net_hdr` before each packet.
pub(crate) const VNET_HEADER: usize = 10;
/// Bytes of an Ethernet header.
pub(crate) const ETHERNET_HEADER: usize = 14;
/// The TUN control device.
pub(crate) const TUN_DEVICE: &str = "/dev/net/tun";
/// The node's interface.
const INTERFACE: &str = "eth0";
/// Packets that may wait in an interface for the fabric to read them.
const QUEUE: u32 = 4096;

/// Bytes before the IP packet.
pub(crate) fn header_length(wire: Wire) -> usize {
    match wire {
        Wire::Tun => VNET_HEADER,
        Wire::Veth => VNET_HEADER + ETHERNET_HEADER,
    }
}

/// The hardware address of a node's interface, where it has one: locally administered.
pub(crate) fn mac(port: u16) -> [u8; 6] {
    let [high, low] = port.to_be_bytes();
    [0x02, 0x73, 0x71, 0, high, low]
}

/// What has to be opened in the cluster's own network namespace before the node leaves it.
struct Hub {
    netlink: Netlink,
    packets: OwnedFd,
}

/// Moves this process into a network namespace of its own, with loopback and `eth0` up, and gives the
/// descriptor at which the fabric reads and writes the node's packets.
pub(crate) fn connect(plan: &Plan, node: &NodePlan) -> Result<OwnedFd, Failed> {
    let hub = match plan.wire {
        Wire::Tun => None,
        Wire::Veth => Some(open_hub()?),
    };
    unshare(CloneFlags::CLONE_NEWNET).map_err(Failed::at("making its network namespace"))?;
    let netlink = Netlink::open().map_err(Failed::at("opening rtnetlink"))?;
    netlink
        .up(interface_index("lo").unwrap_or(1), LinkSettings::default())
        .map_err(Failed::at("bringing loopback up"))?;
    let mut settings = LinkSettings { mtu: Some(plan.mtu), queue: Some(QUEUE), ..LinkSettings::default() };
    let wire = match hub {
        None => open_tun()?,
        Some(hub) => {
            settings.mac = Some(mac(node.port));
            settings.no_arp = true;
            open_veth(&hub, node.port)?;
            hub.packets
        }
    };
    let index = interface_index(INTERFACE).map_err(Failed::at("finding eth0"))?;
    netlink.up(index, settings).map_err(Failed::at("bringing eth0 up"))?;
    set_addresses(&netlink, index, node)?;
    sys::set_nonblocking(&wire).map_err(Failed::at("making the wire non-blocking"))?;
    Ok(wire)
}

fn set_addresses(netlink: &Netlink, index: u32, node: &NodePlan) -> Result<(), Failed> {
    netlink.add_address(index, node.address.into(), 16).map_err(Failed::at("giving eth0 its address"))?;
    // A kernel without IPv6 refuses; everything else works on.
    netlink.add_address(index, node.address6.into(), 64).ok();
    for (network, prefix) in &node.own_networks {
        let added = netlink.add_own_network(index, *network, *prefix);
        if network.is_ipv4() {
            added.map_err(Failed::at("giving eth0 the clients' addresses"))?;
        }
    }
    if !node.own_networks.is_empty() {
        // IPv6 sockets may bind only to addresses set on an interface, unless this says otherwise.
        std::fs::write("/proc/sys/net/ipv6/ip_nonlocal_bind", "1").ok();
    }
    Ok(())
}

fn open_tun() -> Result<OwnedFd, Failed> {
    let fd = open(TUN_DEVICE, OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())
        .map_err(Failed::at("opening /dev/net/tun"))?;
    // SAFETY: an all-zero `ifreq` is a valid one: it is plain data.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(INTERFACE.bytes()) {
        *to = from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI | libc::IFF_VNET_HDR) as libc::c_short;
    // SAFETY: TUNSETIFF takes an `ifreq`.
    unsafe { sys::ioctl(fd.as_fd(), libc::TUNSETIFF as libc::Ioctl, &mut request) }
        .map_err(Failed::at("making a TUN device (TUNSETIFF)"))?;
    let mut length = VNET_HEADER as libc::c_int;
    // SAFETY: TUNSETVNETHDRSZ takes an int.
    unsafe { sys::ioctl(fd.as_fd(), libc::TUNSETVNETHDRSZ as libc::Ioctl, &mut length) }
        .map_err(Failed::at("setting the TUN header's size"))?;
    let offload = libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6 | libc::TUN_F_TSO_ECN;
    sys::ioctl_number(fd.as_fd(), libc::TUNSETOFFLOAD as libc::Ioctl, libc::c_ulong::from(offload))
        .map_err(Failed::at("setting the TUN offloads"))?;
    Ok(fd)
}

fn open_hub() -> Result<Hub, Failed> {
    let netlink = Netlink::open().map_err(Failed::at("opening rtnetlink"))?;
    let packets =
        socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)
            .map_err(Failed::at("opening an AF_PACKET socket"))?;
    Ok(Hub { netlink, packets })
}

/// The number of the far end of a node's veth pair in the cluster's own namespace, above loopback's and
/// those of the tunnels the kernel makes by itself.
fn hub_index(port: u16) -> u32 {
    100 + u32::from(port)
}

fn open_veth(hub: &Hub, port: u16) -> Result<(), Failed> {
    let space = open("/proc/thread-self/ns/net", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())
        .map_err(Failed::at("opening its network namespace"))?;
    let index = hub_index(port);
    hub.netlink
        .add_veth(index, &format!("p{port}"), INTERFACE, space.as_fd())
        .map_err(Failed::at("making a veth pair"))?;
    set_packet_options(hub.packets.as_fd()).map_err(Failed::at("setting AF_PACKET options"))?;
    bind_to(hub.packets.as_fd(), index).map_err(Failed::at("binding the AF_PACKET socket"))?;
    hub.netlink
        .up(index, LinkSettings { queue: Some(QUEUE), ..LinkSettings::default() })
        .map_err(Failed::at("bringing the far end of the veth pair up"))
}

fn set_packet_options(socket: BorrowedFd<'_>) -> nix::Result<()> {
    let one: libc::c_int = 1;
    sys::set_option(socket, libc::SOL_PACKET, libc::PACKET_VNET_HDR, &one)?;
    sys::set_option(socket, libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, &one)?;
    sys::set_option(socket, libc::SOL_PACKET, libc::PACKET_QDISC_BYPASS, &one)?;
    let large: libc::c_int = 8 << 20;
    // Only the machine's own root may pass the limit; everybody else gets what the limit allows.
    if sys::set_option(socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &large).is_err() {
        sys::set_option(socket, libc::SOL_SOCKET, libc::SO_RCVBUF, &large)?;
    }
    sys::set_option(socket, libc::SOL_SOCKET, libc::SO_SNDBUF, &large)
}

fn bind_to(socket: BorrowedFd<'_>, index: u32) -> nix::Result<()> {
    use nix::errno::Errno;
    use std::os::fd::AsRawFd;
    // SAFETY: an all-zero `sockaddr_ll` is a valid one: it is plain data.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
    address.sll_ifindex = i32::try_from(index).expect("interface numbers are small");
    let length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: the address lives through the call and has the length said.
    let done = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) };
    Errno::result(done).map(drop)
}
