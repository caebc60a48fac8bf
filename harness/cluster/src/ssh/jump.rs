//! A stream to a host that only another one can reach.
//!
//! A thread carries bytes between the jump host's channel and one end of a pair of sockets; the other end is
//! what the second session takes for its connection. It ends when either side does.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use ssh2::{BlockDirections, Channel, Session};

use super::inventory::Login;
use crate::Error;

/// How long the thread sleeps at most before it looks again, milliseconds: whatever woke it may have been missed.
const LOOK: u16 = 200;

/// A stream through a session, to an address as the jump host sees it.
pub(super) fn through(
    session: Session,
    socket: Option<TcpStream>,
    by: &Login,
    address: &str,
    port: u16,
) -> Result<UnixStream, Error> {
    let failed = |e: io::Error| Error::io(format!("{} cannot reach {address}:{port}", by.address), e);
    let socket = socket.ok_or_else(|| Error::Broken(format!("{} has no socket to wait on", by.address)))?;
    let channel = session.channel_direct_tcpip(address, port, None).map_err(|e| failed(e.into()))?;
    let (ours, theirs) = UnixStream::pair().map_err(failed)?;
    theirs.set_nonblocking(true).map_err(failed)?;
    session.set_blocking(false);
    let carry = move || {
        // Both ends see the end: that is all there is to say.
        let _ = Carrier { session, socket, channel, stream: theirs }.carry();
    };
    std::thread::Builder::new().name("squall-jump".into()).spawn(carry).map_err(failed)?;
    Ok(ours)
}

struct Carrier {
    session: Session,
    socket: TcpStream,
    channel: Channel,
    stream: UnixStream,
}

impl Carrier {
    fn carry(mut self) -> io::Result<()> {
        let (mut out, mut back) = (Vec::new(), Vec::new());
        loop {
            let mut moved = false;
            moved |= fill(&mut self.stream, &mut out)?;
            moved |= drain(&mut self.channel, &mut out)?;
            if self.channel.eof() && back.is_empty() {
                return Ok(());
            }
            moved |= fill(&mut self.channel, &mut back)?;
            moved |= drain(&mut self.stream, &mut back)?;
            if !moved {
                self.wait(!back.is_empty())?;
            }
        }
    }

    /// Waits until either side may have something to do.
    fn wait(&self, to_stream: bool) -> io::Result<()> {
        let mut wire = PollFlags::POLLIN;
        if matches!(self.session.block_directions(), BlockDirections::Outbound | BlockDirections::Both) {
            wire |= PollFlags::POLLOUT;
        }
        let mut local = PollFlags::POLLIN;
        if to_stream {
            local |= PollFlags::POLLOUT;
        }
        let mut fds = [PollFd::new(self.socket.as_fd(), wire), PollFd::new(self.stream.as_fd(), local)];
        poll(&mut fds, PollTimeout::from(LOOK)).map(drop).map_err(io::Error::from)
    }
}

/// Reads what is there, if there is room. The end of the stream is an error: nothing more can come of it.
fn fill(from: &mut impl Read, into: &mut Vec<u8>) -> io::Result<bool> {
    if into.len() > 256 << 10 {
        return Ok(false);
    }
    let mut buffer = [0; 64 << 10];
    match from.read(&mut buffer) {
        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(n) => {
            into.extend_from_slice(&buffer[..n]);
            Ok(true)
        }
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(e) => Err(e),
    }
}

/// Writes what can be written.
fn drain(into: &mut impl Write, from: &mut Vec<u8>) -> io::Result<bool> {
    if from.is_empty() {
        return Ok(false);
    }
    match into.write(from) {
        Ok(0) => Err(io::ErrorKind::WriteZero.into()),
        Ok(n) => {
            from.drain(..n);
            Ok(true)
        }
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(e) => Err(e),
    }
}
