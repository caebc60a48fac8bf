//! The few rtnetlink requests that set up a node's interfaces, over a socket that keeps the network
//! namespace in which it was opened. Requests are built by hand: a dozen attributes do not need a crate.

use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, socket};

const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_TXQLEN: u16 = 13;
const IFLA_LINKINFO: u16 = 18;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
/// Usable at once, without asking whether somebody else has it.
const IFA_F_NODAD: u8 = 2;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;

/// A request being built.
struct Request {
    bytes: Vec<u8>,
}

impl Request {
    fn new(kind: u16, flags: i32, body: &[u8]) -> Self {
        let flags =
            u16::try_from(libc::NLM_F_REQUEST | libc::NLM_F_ACK | flags).expect("flags are 16 bits wide");
        let mut bytes = vec![0; 4];
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend([0; 8]);
        bytes.extend(body);
        Request { bytes }
    }

    fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        let length = u16::try_from(value.len() + 4).expect("attributes are short");
        self.bytes.extend(length.to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self
    }
}

/// A nested attribute's value.
fn nested(body: &[u8], attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let mut request = Request { bytes: body.to_vec() };
    for (kind, value) in attributes {
        request = request.attribute(*kind, value);
    }
    request.bytes
}

/// `struct ifinfomsg`.
fn interface_body(index: u32, flags: i32, change: i32) -> [u8; 16] {
    let mut body = [0; 16];
    body[4..8].copy_from_slice(&index.to_ne_bytes());
    body[8..12].copy_from_slice(&flags.to_ne_bytes());
    body[12..16].copy_from_slice(&change.to_ne_bytes());
    body
}

/// What an interface is to become.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LinkSettings {
    /// Largest packet, bytes.
    pub mtu: Option<u32>,
    /// Its hardware address.
    pub mac: Option<[u8; 6]>,
    /// Whether it does without ARP.
    pub no_arp: bool,
    /// Packets that may wait for the reader.
    pub queue: Option<u32>,
}

/// An open rtnetlink socket.
#[derive(Debug)]
pub(crate) struct Netlink {
    socket: OwnedFd,
}

impl Netlink {
    /// Opens one in the current network namespace, to which it belongs from then on.
    pub fn open() -> nix::Result<Self> {
        let socket = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, None)?;
        Ok(Netlink { socket })
    }

    fn ask(&self, mut request: Request) -> nix::Result<()> {
        let length = u32::try_from(request.bytes.len()).expect("requests are short");
        request.bytes[..4].copy_from_slice(&length.to_ne_bytes());
        send(self.socket.as_raw_fd(), &request.bytes, MsgFlags::empty())?;
        let mut answer = [0; 4096];
        let length = recv(self.socket.as_raw_fd(), &mut answer, MsgFlags::empty())?;
        // An acknowledgement is a header of 16 bytes, then a negative error number or 0.
        let code = answer[..length].get(16..20).ok_or(Errno::EBADMSG)?;
        match i32::from_ne_bytes(code.try_into().expect("four bytes were taken")) {
            0 => Ok(()),
            error => Err(Errno::from_raw(-error)),
        }
    }

    /// Brings an interface up with these settings.
    pub fn up(&self, index: u32, settings: LinkSettings) -> nix::Result<()> {
        let mut flags = libc::IFF_UP;
        if settings.no_arp {
            flags |= libc::IFF_NOARP;
        }
        let mut request = Request::new(libc::RTM_NEWLINK, 0, &interface_body(index, flags, flags));
        if let Some(mtu) = settings.mtu {
            request = request.attribute(IFLA_MTU, &mtu.to_ne_bytes());
        }
        if let Some(mac) = settings.mac {
            request = request.attribute(IFLA_ADDRESS, &mac);
        }
        if let Some(queue) = settings.queue {
            request = request.attribute(IFLA_TXQLEN, &queue.to_ne_bytes());
        }
        self.ask(request)
    }

    /// Makes a veth pair: `name` with number `index` here, `peer` in the namespace that `space` refers to.
    pub fn add_veth(&self, index: u32, name: &str, peer: &str, space: BorrowedFd<'_>) -> nix::Result<()> {
        let space = space.as_raw_fd().to_ne_bytes();
        let peer = [peer.as_bytes(), b"\0"].concat();
        let peer = nested(&interface_body(0, 0, 0), &[(IFLA_IFNAME, &peer), (IFLA_NET_NS_FD, &space)]);
        let data = nested(&[], &[(VETH_INFO_PEER, &peer)]);
        let info = nested(&[], &[(IFLA_INFO_KIND, b"veth"), (IFLA_INFO_DATA, &data)]);
        let create = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
        self.ask(
            Request::new(libc::RTM_NEWLINK, create, &interface_body(index, 0, 0))
                .attribute(IFLA_IFNAME, &[name.as_bytes(), b"\0"].concat())
                .attribute(IFLA_LINKINFO, &info),
        )
    }

    /// Gives an interface an address.
    pub fn add_address(&self, index: u32, address: IpAddr, prefix: u8) -> nix::Result<()> {
        let (family, octets) = parts(address);
        let mut body = [family, prefix, IFA_F_NODAD, 0, 0, 0, 0, 0];
        body[4..8].copy_from_slice(&index.to_ne_bytes());
        let create = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
        self.ask(
            Request::new(libc::RTM_NEWADDR, create, &body)
                .attribute(IFA_LOCAL, &octets)
                .attribute(IFA_ADDRESS, &octets),
        )
    }

    /// Makes every address of a network the host's own, as if each were set on the interface.
    pub fn add_own_network(&self, index: u32, network: IpAddr, prefix: u8) -> nix::Result<()> {
        let (family, octets) = parts(network);
        let (table, kind) = (libc::RT_TABLE_LOCAL, libc::RTN_LOCAL);
        let mut body = [0; 12];
        body[..2].copy_from_slice(&[family, prefix]);
        body[4..8].copy_from_slice(&[table, libc::RTPROT_STATIC, libc::RT_SCOPE_HOST, kind]);
        let create = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
        self.ask(
            Request::new(libc::RTM_NEWROUTE, create, &body)
                .attribute(RTA_DST, &octets)
                .attribute(RTA_OIF, &index.to_ne_bytes()),
        )
    }
}

/// An address's family and bytes.
fn parts(address: IpAddr) -> (u8, Vec<u8>) {
    match address {
        IpAddr::V4(address) => (libc::AF_INET as u8, address.octets().to_vec()),
        IpAddr::V6(address) => (libc::AF_INET6 as u8, address.octets().to_vec()),
    }
}

/// The number of an interface in the current network namespace.
pub(crate) fn interface_index(name: &str) -> nix::Result<u32> {
    nix::net::if_::if_nametoindex(name)
}
