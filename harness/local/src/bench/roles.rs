//! What this executable does inside a node during a measurement.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use super::shares;
use crate::sys;

/// First argument of this executable in a role.
pub(crate) const WORD: &str = "__squall-bench";
/// What the peer prints once it listens.
pub(crate) const READY: &str = "ready\n";
/// Bytes of a message.
const MESSAGE: usize = 64;
/// How long a datagram may be on its way before it counts as lost.
const LOST: Duration = Duration::from_secs(2);
/// Time between the datagrams whose delays are measured.
const PACE: Duration = Duration::from_millis(3);

/// Does what the words say, and prints numbers.
pub(crate) fn run(words: &[String]) -> io::Result<()> {
    let number = |text: &str| text.parse::<u64>().map_err(io::Error::other);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["peer", port] => peer(port.parse().map_err(io::Error::other)?),
        ["round-trips", "tcp", to, rounds] => tcp_round_trips(to, number(rounds)?),
        ["round-trips", "udp", to, rounds] => udp_round_trips(to, number(rounds)?),
        ["throughput", to, milliseconds] => throughput(to, Duration::from_millis(number(milliseconds)?)),
        ["one-way", to, rounds] => one_way(to, number(rounds)?),
        ["count", port] => shares::receive(port.parse().map_err(io::Error::other)?),
        ["numbered", to, packets] => shares::send(to, number(packets)?),
        _ => Err(io::Error::other(format!("there is no such role: {words:?}"))),
    }
}

/// Echoes messages and swallows streams, until it is ended.
fn peer(port: u16) -> io::Result<()> {
    let listener = TcpListener::bind(("0.0.0.0", port))?;
    let socket = UdpSocket::bind(("0.0.0.0", port))?;
    io::stdout().write_all(READY.as_bytes())?;
    io::stdout().flush()?;
    std::thread::spawn(move || echo_datagrams(&socket));
    for stream in listener.incoming() {
        let stream = stream?;
        std::thread::spawn(move || serve(stream));
    }
    Ok(())
}

/// Answers each datagram with its bytes, the first eight replaced by the time since they were sent.
fn echo_datagrams(socket: &UdpSocket) -> io::Result<()> {
    let mut buffer = [0; 2048];
    loop {
        let (length, from) = socket.recv_from(&mut buffer)?;
        if let Some(sent) = buffer[..length].first_chunk::<8>() {
            let took = sys::monotonic().saturating_sub(u64::from_be_bytes(*sent));
            buffer[..8].copy_from_slice(&took.to_be_bytes());
        }
        socket.send_to(&buffer[..length], from)?;
    }
}

/// The first byte says what the connection is for.
fn serve(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut kind = [0; 1];
    stream.read_exact(&mut kind)?;
    let mut buffer = vec![0; 1 << 18];
    if &kind == b"e" {
        loop {
            stream.read_exact(&mut buffer[..MESSAGE])?;
            stream.write_all(&buffer[..MESSAGE])?;
        }
    }
    let mut total = 0_u64;
    loop {
        match stream.read(&mut buffer)? {
            0 => return stream.write_all(&total.to_be_bytes()),
            length => total += length as u64,
        }
    }
}

fn print(numbers: &[u64]) -> io::Result<()> {
    let text: Vec<String> = numbers.iter().map(u64::to_string).collect();
    io::stdout().write_all(text.join("\n").as_bytes())?;
    io::stdout().flush()
}

fn tcp_round_trips(to: &str, rounds: u64) -> io::Result<()> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_nodelay(true)?;
    stream.write_all(b"e")?;
    let mut message = [0; MESSAGE];
    let mut measured = Vec::new();
    for _ in 0..rounds {
        let start = Instant::now();
        stream.write_all(&message)?;
        stream.read_exact(&mut message)?;
        measured.push(start.elapsed().as_nanos() as u64);
    }
    print(&measured)
}

fn udp_round_trips(to: &str, rounds: u64) -> io::Result<()> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.connect(to)?;
    socket.set_read_timeout(Some(LOST))?;
    let mut message = [0; MESSAGE];
    let mut measured = Vec::new();
    for _ in 0..rounds {
        let start = Instant::now();
        socket.send(&message)?;
        socket.recv(&mut message)?;
        measured.push(start.elapsed().as_nanos() as u64);
    }
    print(&measured)
}

/// Prints the bytes that arrived and the nanoseconds until the peer said so.
fn throughput(to: &str, time: Duration) -> io::Result<()> {
    let mut stream = TcpStream::connect(to)?;
    stream.write_all(b"s")?;
    let block = vec![0; 1 << 18];
    let start = Instant::now();
    while start.elapsed() < time {
        stream.write_all(&block)?;
    }
    stream.shutdown(std::net::Shutdown::Write)?;
    let mut total = [0; 8];
    stream.read_exact(&mut total)?;
    print(&[u64::from_be_bytes(total), start.elapsed().as_nanos() as u64])
}

/// Prints how long each datagram took to the peer, by the clock that all nodes share.
fn one_way(to: &str, rounds: u64) -> io::Result<()> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.connect(to)?;
    socket.set_read_timeout(Some(LOST))?;
    let reader = socket.try_clone()?;
    let reading = std::thread::spawn(move || -> io::Result<Vec<u64>> {
        let mut message = [0; MESSAGE];
        let mut measured = Vec::new();
        for _ in 0..rounds {
            reader.recv(&mut message)?;
            measured.push(u64::from_be_bytes(*message.first_chunk().expect("a message is longer")));
        }
        Ok(measured)
    });
    for _ in 0..rounds {
        let mut message = [0; MESSAGE];
        message[..8].copy_from_slice(&sys::monotonic().to_be_bytes());
        socket.send(&message)?;
        std::thread::sleep(PACE);
    }
    let measured = reading.join().map_err(|_| io::Error::other("the reader panicked"))??;
    print(&measured)
}
