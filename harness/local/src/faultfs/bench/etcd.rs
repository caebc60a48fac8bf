//! etcd as a load: how many puts a second it takes with its data in some folder.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_millis(1500);
const START_LIMIT: Duration = Duration::from_secs(30);

/// Puts a second in each of two folders, in turn, so that whatever else the machine does hits both: the median
/// of some rounds. `None` where etcd is not installed.
pub(super) fn in_turn(folders: [&Path; 2], flags: &[&str], clients: usize) -> io::Result<[Option<f64>; 2]> {
    let mut rates = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (rates, folder) in rates.iter_mut().zip(folders) {
            rates.extend(round(folder, flags, clients)?);
        }
    }
    Ok(rates.map(|mut rates| {
        rates.sort_by(f64::total_cmp);
        rates.get(rates.len() / 2).copied()
    }))
}

/// A server that is ended when this is.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Starts etcd on ports of loopback that nobody has.
fn start(data: &Path, flags: &[&str]) -> io::Result<Option<Server>> {
    let free = || TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let (address, peer) = (free()?, free()?);
    let (client, peer) = (format!("http://{address}"), format!("http://{peer}"));
    let mut command = Command::new("etcd");
    command.arg("--data-dir").arg(data).args(flags);
    command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
    command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
    command.args(["--initial-cluster", &format!("default={peer}")]);
    let child = match command.stdout(Stdio::null()).stderr(Stdio::null()).spawn() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        child => child?,
    };
    let server = Server { child, address };
    let end = Instant::now() + START_LIMIT;
    while Connection::open(address).and_then(|mut connection| connection.put(0)).is_err() {
        if Instant::now() > end {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "etcd does not serve"));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(Some(server))
}

fn round(folder: &Path, flags: &[&str], clients: usize) -> io::Result<Option<f64>> {
    let data = folder.join("etcd");
    let Some(server) = start(&data, flags)? else { return Ok(None) };
    let end = Instant::now() + ROUND;
    let work = || -> io::Result<u32> {
        let mut connection = Connection::open(server.address)?;
        let mut done = 0;
        while Instant::now() < end {
            connection.put(done)?;
            done += 1;
        }
        Ok(done)
    };
    let puts: io::Result<u32> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..clients).map(|_| scope.spawn(work)).collect();
        clients.into_iter().map(|client| client.join().expect("a client does not panic")).sum()
    });
    drop(server);
    fs::remove_dir_all(&data)?;
    Ok(Some(f64::from(puts?) / ROUND.as_secs_f64()))
}

/// A connection to etcd's JSON gateway that is kept.
struct Connection(BufReader<TcpStream>);

impl Connection {
    fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Connection(BufReader::new(stream)))
    }

    /// Puts 99 bytes under one of a thousand keys.
    fn put(&mut self, k: u32) -> io::Result<()> {
        let value = "dmFs".repeat(33);
        let body = format!("{{\"key\": \"a2V5{:04}\", \"value\": \"{value}\"}}", k % 1000);
        let head = "POST /v3/kv/put HTTP/1.1\r\nHost: etcd\r\nContent-Type: application/json\r\n";
        let request = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
        self.0.get_mut().write_all(request.as_bytes())?;
        let (mut line, mut length, mut accepted) = (String::new(), 0, false);
        loop {
            line.clear();
            if self.0.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            accepted |= line.starts_with("HTTP/1.1 200");
            if let Some(value) = line.strip_prefix("Content-Length: ") {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
            if line.trim().is_empty() {
                break;
            }
        }
        self.0.read_exact(&mut vec![0; length])?;
        if accepted { Ok(()) } else { Err(io::Error::other("etcd refused a put")) }
    }
}
