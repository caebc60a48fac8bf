//! What this binary does inside nodes, when its first argument says so.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::process::ExitCode;
use std::time::Duration;

/// First argument of this binary in a role.
pub const WORD: &str = "__role";

/// How many datagrams may be on their way to the receiver: what its buffer surely holds, twice over.
const WINDOW: u64 = 60;

pub fn run_if_asked() -> Option<ExitCode> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [WORD, "echo", port] => echo(port.parse().unwrap()),
        [WORD, "receive", port, count] => receive(port.parse().unwrap(), count.parse().unwrap()),
        [WORD, "send", to, count, size] => send(to, count.parse().unwrap(), size.parse().unwrap()),
        [WORD, "flood", to, count, size] => flood(to, count.parse().unwrap(), size.parse().unwrap()),
        [WORD, "ask-udp", to, tries] => ask_udp(to, tries.parse().unwrap()),
        [WORD, "ask-tcp", to] => println!("{}", ask_tcp(to)),
        [WORD, "hoard", mebibytes] => println!("{}", hoard(mebibytes.parse().unwrap())),
        [WORD, "others"] => println!("{}", others()),
        [WORD, "spawner"] => spawner(),
        [WORD, "stubborn"] => stubborn(),
        [WORD, "many", dir] => crate::ends::many(dir),
        [WORD, "doctor"] => crate::ends::doctor(),
        [WORD, "orphan", _] => crate::ends::orphan(),
        [WORD, "harness", dir] => crate::ends::harness(dir),
        [WORD, ..] => panic!("there is no such role: {words:?}"),
        _ => return None,
    }
    Some(ExitCode::SUCCESS)
}

/// Asks for memory, and says whether it was given.
fn hoard(mebibytes: usize) -> &'static str {
    match Vec::<u8>::new().try_reserve_exact(mebibytes << 20) {
        Ok(()) => "given",
        Err(_) => "refused",
    }
}

/// Echoes TCP and UDP over both IP versions, until it is ended.
fn echo(port: u16) {
    let listener = TcpListener::bind(("::", port)).unwrap();
    let socket = UdpSocket::bind(("::", port)).unwrap();
    println!("ready");
    std::thread::spawn(move || {
        let mut buffer = [0; 65536];
        loop {
            let (length, from) = socket.recv_from(&mut buffer).unwrap();
            // The way back may be unreachable for the kernel itself only, which is not under test.
            socket.send_to(&buffer[..length], from).ok();
        }
    });
    for stream in listener.incoming() {
        std::thread::spawn(move || {
            let mut stream = stream.unwrap();
            stream.set_nodelay(true).unwrap();
            // The first line back says who asks, as the server sees it.
            writeln!(stream, "{}", stream.peer_addr().unwrap().ip().to_canonical()).unwrap();
            let mut buffer = [0; 65536];
            while let Ok(length @ 1..) = stream.read(&mut buffer) {
                if stream.write_all(&buffer[..length]).is_err() {
                    return;
                }
            }
        });
    }
}

fn ask_tcp(to: &str) -> String {
    let mut stream = std::net::TcpStream::connect(to).unwrap();
    let text = vec![b'x'; 1 << 20];
    let mut writer = stream.try_clone().unwrap();
    let sent = text.clone();
    let writing = std::thread::spawn(move || {
        writer.write_all(&sent).unwrap();
        writer.shutdown(std::net::Shutdown::Write).unwrap();
    });
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    writing.join().unwrap();
    let end = answer.iter().position(|byte| *byte == b'\n').unwrap();
    assert_eq!(answer[end + 1..], text);
    String::from_utf8_lossy(&answer[..end]).into_owned()
}

/// Asks an echo server up to so many times, a tenth of a second each, and prints how many answered.
fn ask_udp(to: &str, tries: u32) {
    let socket = UdpSocket::bind("[::]:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let to: std::net::SocketAddr = match to.parse().unwrap() {
        std::net::SocketAddr::V4(v4) => (v4.ip().to_ipv6_mapped(), v4.port()).into(),
        v6 => v6,
    };
    let mut answered = 0;
    for number in 0..tries {
        socket.send_to(&number.to_be_bytes(), to).unwrap();
        answered += u32::from(socket.recv_from(&mut [0; 16]).is_ok());
    }
    println!("{answered}");
}

/// Nanoseconds of the monotonic clock, which all nodes share.
fn now() -> u64 {
    let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).unwrap();
    time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64
}

/// Datagram `number`: number, time of sending, and bytes that follow from the number.
fn datagram(number: u64, size: usize) -> Vec<u8> {
    let mut bytes = [number.to_be_bytes(), now().to_be_bytes()].concat();
    bytes.extend((0..size.saturating_sub(16)).map(|at| pattern(number, at)));
    bytes
}

/// The byte at a place of datagram `number`, behind number and time.
fn pattern(number: u64, at: usize) -> u8 {
    ((number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (at % 8 * 8)) as u8).wrapping_add(at as u8)
}

/// Sends numbered datagrams, never more on their way than the receiver's buffer holds.
fn send(to: &str, count: u64, size: usize) {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.connect(to).unwrap();
    // What was lost is never acknowledged, so waiting has an end.
    socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let (mut arrived, mut lost, mut buffer) = (0, 0, [0; 8]);
    for number in 1..=count {
        while number > arrived + lost + WINDOW {
            match socket.recv(&mut buffer) {
                Ok(8) => arrived = arrived.max(u64::from_be_bytes(buffer)),
                // What has not arrived by now never will, or it will find room all the same.
                _ => lost = number - arrived,
            }
        }
        socket.send(&datagram(number, size)).unwrap();
    }
    // What is still on its way may be slower than the end, which may overtake it.
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    while socket.recv(&mut buffer).is_ok() {}
    // The end, said often enough to survive any loss that is tested.
    for _ in 0..200 {
        socket.send(&0_u64.to_be_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Sends datagrams that nobody awaits, all at once.
fn flood(to: &str, count: u64, size: usize) {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    for _ in 0..count {
        socket.send_to(&vec![0; size], to).unwrap();
    }
}

/// Receives numbered datagrams and prints what came of them: see [`Received`].
fn receive(port: u16, count: u64) {
    let socket = UdpSocket::bind(("0.0.0.0", port)).unwrap();
    println!("ready");
    let mut received = Received::default();
    let mut seen = HashSet::new();
    let mut buffer = [0; 65536];
    let mut highest = 0;
    loop {
        let (length, from) = socket.recv_from(&mut buffer).unwrap();
        let at = now();
        let number = u64::from_be_bytes(buffer[..8].try_into().unwrap());
        if number == 0 && length == 8 {
            break;
        }
        let right = (16..length).all(|at| buffer[at] == pattern(number, at - 16));
        if right && length >= 16 && number <= count {
            let sent = u64::from_be_bytes(buffer[8..16].try_into().unwrap());
            received.delays.push(at.saturating_sub(sent));
            received.twice += u64::from(!seen.insert(number));
            received.late += u64::from(number < highest);
            highest = highest.max(number);
        } else {
            received.spoilt += 1;
        }
        socket.send_to(&(seen.len() as u64 + received.spoilt).to_be_bytes(), from).unwrap();
    }
    received.missed = receive_buffer_errors();
    received.missing = (1..=count).filter(|number| !seen.contains(number)).collect();
    println!("{}done", received.to_text());
    std::io::stdout().flush().unwrap();
    // Goes on listening, so that its host does not refuse what still comes.
    loop {
        socket.recv_from(&mut buffer).unwrap();
    }
}

/// UDP datagrams that this host's kernel dropped because a receiver's buffer was full.
fn receive_buffer_errors() -> u64 {
    let text = std::fs::read_to_string("/proc/net/snmp").unwrap();
    let mut lines = text.lines().filter(|line| line.starts_with("Udp: "));
    let names = lines.next().unwrap().split_whitespace();
    let values = lines.next().unwrap().split_whitespace();
    names.zip(values).find(|(name, _)| *name == "RcvbufErrors").unwrap().1.parse().unwrap()
}

/// What a receiver saw.
#[derive(Debug, Default, PartialEq)]
pub struct Received {
    /// Datagrams whose bytes are not what was sent.
    pub spoilt: u64,
    /// Datagrams that this host dropped because the receiver was too slow: then the measurement is void.
    pub missed: u64,
    /// Datagrams that came again.
    pub twice: u64,
    /// Datagrams that came after one with a higher number.
    pub late: u64,
    /// One-way delays in nanoseconds, in order of arrival.
    pub delays: Vec<u64>,
    /// Numbers that never came as they were sent.
    pub missing: Vec<u64>,
}

impl Received {
    fn to_text(&self) -> String {
        let list = |numbers: &[u64]| numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(" ");
        let (delays, missing) = (list(&self.delays), list(&self.missing));
        format!("{} {} {} {}\n{delays}\n{missing}\n", self.spoilt, self.twice, self.late, self.missed)
    }

    /// Reads back what [`receive`] printed.
    pub fn of_text(text: &str) -> Received {
        let mut lines = text
            .lines()
            .map(|line| line.split_whitespace().map(|n| n.parse().unwrap()).collect::<Vec<u64>>());
        let counts = lines.next().unwrap();
        let (delays, missing) = (lines.next().unwrap(), lines.next().unwrap_or_default());
        Received { spoilt: counts[0], twice: counts[1], late: counts[2], missed: counts[3], delays, missing }
    }
}

/// How many processes there are on this node beside its init and this one.
fn others() -> usize {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let processes = entries.filter(|entry| entry.file_name().to_str().unwrap().parse::<u32>().is_ok());
    processes.count() - 2
}

/// A program that leaves children and grandchildren in sessions of their own.
fn spawner() {
    let own = std::env::current_exe().unwrap();
    let children: Vec<_> = (0..3)
        .map(|_| std::process::Command::new("setsid").arg(&own).args([WORD, "stubborn"]).spawn().unwrap())
        .collect();
    println!("ready");
    for mut child in children {
        child.wait().unwrap();
    }
}

/// Keeps SIGTERM waiting for ever, and counts in a file.
fn stubborn() {
    let mut term = nix::sys::signal::SigSet::empty();
    term.add(nix::sys::signal::Signal::SIGTERM);
    term.thread_block().unwrap();
    println!("ready");
    for number in 0_u64.. {
        std::fs::write("counter", number.to_string()).unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
}
