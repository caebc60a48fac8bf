//! The program on each node: it is asked by lines of text over TCP, does what a program does (sends, reads, writes,
//! allocates, asks for the time) and says what came of it. It knows nothing of faults and of the harness.
//!
//! On its standard output stands when it started (`up`) and when it was asked to end (`asked`), by the clock that all
//! nodes share.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::sys::signal::{SigSet, Signal};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// First argument of this executable when it is the probe.
pub const WORD: &str = "__probe";
/// Where it is asked, and where datagrams for it arrive.
pub const PORT: u16 = 7;
/// How long it waits for an answer before it says `silent`.
const PATIENCE: Duration = Duration::from_millis(400);

/// What arrived, in order, since it was last asked.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Received {
    /// Datagrams that this host's kernel dropped because the probe was too slow: then the measurement is void.
    pub missed: u64,
    /// Number, nanoseconds from sending to arrival, and whether all its bytes are as they were sent.
    pub datagrams: Vec<(u64, u64, bool)>,
}

#[derive(Default)]
struct Seen {
    datagrams: Mutex<Vec<(u64, u64, bool)>>,
    /// The latest that it sent to itself.
    own: AtomicU64,
    spins: AtomicU64,
}

/// Serves until it is ended. Never returns.
pub fn run() -> ! {
    let mut term = SigSet::empty();
    term.add(Signal::SIGTERM);
    term.thread_block().unwrap();
    std::thread::spawn(move || {
        term.wait().unwrap();
        say("asked");
        std::process::exit(0);
    });
    let seen = Arc::new(Seen::default());
    let socket = UdpSocket::bind(("0.0.0.0", PORT)).unwrap();
    let listener = TcpListener::bind(("0.0.0.0", PORT)).unwrap();
    std::thread::spawn({
        let seen = seen.clone();
        move || listen(&socket, &seen)
    });
    say("up");
    for stream in listener.incoming() {
        let seen = seen.clone();
        std::thread::spawn(move || serve(stream.unwrap(), &seen));
    }
    unreachable!("a listener does not end")
}

fn say(what: &str) {
    println!("{what} {}", monotonic());
    io::stdout().flush().unwrap();
}

/// The clock that no fault moves, nanoseconds.
pub fn monotonic() -> u64 {
    let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).unwrap();
    time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64
}

/// A datagram: its number, when it was sent, and bytes that follow from its number.
fn datagram(number: u64, size: usize) -> Vec<u8> {
    let mut bytes = number.to_be_bytes().to_vec();
    bytes.extend(monotonic().to_be_bytes());
    bytes.extend((bytes.len()..size).map(|at| (number as u8).wrapping_mul(31).wrapping_add(at as u8)));
    bytes
}

fn listen(socket: &UdpSocket, seen: &Seen) {
    let mut buffer = [0; 2048];
    loop {
        let (length, from) = socket.recv_from(&mut buffer).unwrap();
        let now = monotonic();
        let word = |at: usize| u64::from_be_bytes(buffer[at..at + 8].try_into().unwrap());
        if length < 16 {
            continue;
        }
        let (number, sent) = (word(0), word(8));
        if from.ip().is_loopback() {
            seen.own.store(number, Relaxed);
            continue;
        }
        // The time of sending may be anything; of a spoilt number the bytes do not follow.
        let good = datagram(number, length)[16..] == buffer[16..length];
        seen.datagrams.lock().unwrap().push((number, now.saturating_sub(sent), good));
    }
}

fn serve(stream: TcpStream, seen: &Seen) {
    stream.set_nodelay(true).unwrap();
    let mut out = stream.try_clone().unwrap();
    let mut dialled = HashMap::new();
    for line in BufReader::new(stream).lines() {
        let Ok(line) = line else { return };
        let words: Vec<&str> = line.split(' ').collect();
        let answer = answer(&words, seen, &mut dialled);
        if writeln!(out, "{answer}").is_err() {
            return;
        }
    }
}

fn answer(words: &[&str], seen: &Seen, dialled: &mut HashMap<String, TcpStream>) -> String {
    let number = |text: &str| text.parse::<u64>().unwrap();
    match *words {
        ["hello"] => "hello".into(),
        ["send", to, first, count, size, pause] => {
            outcome(send(to, number(first), number(count), number(size) as usize, number(pause)))
        }
        ["received"] => serde_json::to_string(&received(seen)).unwrap(),
        // Connections that stay, by a name.
        ["dial", name, to] => match TcpStream::connect_timeout(&to.parse().unwrap(), PATIENCE) {
            Ok(stream) => {
                let heard = talk(&stream);
                dialled.insert(name.to_owned(), stream);
                heard
            }
            Err(error) => met(&error),
        },
        ["talk", name] => talk(&dialled[name]),
        ["clock"] => {
            let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_nanos() as i64);
            json!([wall, monotonic()]).to_string()
        }
        ["spin"] => {
            for _ in 0..50_000_000_u64 {
                seen.spins.fetch_add(1, Relaxed);
            }
            "spun".into()
        }
        ["spins"] => seen.spins.load(Relaxed).to_string(),
        ["hoard", mebibytes] => hoard(number(mebibytes) as usize),
        ["write", file, offset, byte, count, sync] => {
            outcome(write(file, number(offset), number(byte) as u8, number(count) as usize, sync == "sync"))
        }
        ["sync", file] => {
            let begun = Instant::now();
            match OpenOptions::new().write(true).open(file).and_then(|file| file.sync_all()) {
                Ok(()) => begun.elapsed().as_nanos().to_string(),
                Err(error) => met(&error),
            }
        }
        // Runs of equal bytes: `65x4096 66x512`.
        ["read", file] => match std::fs::read(file) {
            Ok(bytes) => runs(&bytes),
            Err(error) => met(&error),
        },
        _ => panic!("nobody knows what {words:?} means"),
    }
}

fn outcome(result: io::Result<()>) -> String {
    result.map_or_else(|error| met(&error), |()| "ok".into())
}

/// An error as programs know it.
fn met(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => "reset".into(),
        ErrorKind::ConnectionRefused => "refused".into(),
        ErrorKind::TimedOut | ErrorKind::WouldBlock => "silent".into(),
        _ => error.raw_os_error().map_or_else(|| error.to_string(), |errno| format!("errno {errno}")),
    }
}

fn send(to: &str, first: u64, count: u64, size: usize, pause: u64) -> io::Result<()> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.connect(to)?;
    for number in first..first + count {
        socket.send(&datagram(number, size))?;
        std::thread::sleep(Duration::from_micros(pause));
    }
    Ok(())
}

/// Everything that has reached this host so far: what it sends itself comes after that.
fn received(seen: &Seen) -> Received {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let own = seen.own.load(Relaxed) + 1;
    while seen.own.load(Relaxed) < own {
        socket.send_to(&datagram(own, 16), ("127.0.0.1", PORT)).unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
    let text = std::fs::read_to_string("/proc/net/snmp").unwrap();
    let mut lines = text.lines().filter(|line| line.starts_with("Udp: ")).map(str::split_whitespace);
    let (names, mut values) = (lines.next().unwrap(), lines.next().unwrap());
    let at = names.clone().position(|name| name == "RcvbufErrors").unwrap();
    let missed = values.nth(at).unwrap().parse().unwrap();
    Received { missed, datagrams: std::mem::take(&mut *seen.datagrams.lock().unwrap()) }
}

/// Says hello to another probe and waits for its answer, or for what still comes of an earlier one.
fn talk(mut stream: &TcpStream) -> String {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answer = [0; 6];
    match stream.write_all(b"hello\n").and_then(|()| stream.read_exact(&mut answer)) {
        Ok(()) => "answered".into(),
        Err(error) => met(&error),
    }
}

fn hoard(mebibytes: usize) -> String {
    let mut memory: Vec<u8> = Vec::new();
    match memory.try_reserve_exact(mebibytes << 20) {
        Ok(()) => "given".into(),
        Err(_) => "refused".into(),
    }
}

fn write(file: &str, offset: u64, byte: u8, count: usize, sync: bool) -> io::Result<()> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(file)?;
    file.write_all_at(&vec![byte; count], offset)?;
    if sync { file.sync_all() } else { Ok(()) }
}

fn runs(bytes: &[u8]) -> String {
    let runs = bytes.chunk_by(|a, b| a == b).map(|run| format!("{}x{}", run[0], run.len()));
    runs.collect::<Vec<_>>().join(" ")
}
