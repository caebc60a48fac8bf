//! What the disk costs when no fault stands: `cargo test --release -p squall-local --test disk -- bench`.
//! Prints one JSON object a line.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use squall_local::faultfs::Options;

use crate::stage::{self, Stage};

/// `[plain|etcd|power …]`: everything if nothing is said.
pub fn run(wanted: &[String]) {
    stage::enter();
    let wants = |name: &str| wanted.is_empty() || wanted.iter().any(|word| word == name);
    // Beside the binary: a real disk, where the temporary folder may be memory.
    let place = std::env::current_exe().expect("the test binary");
    let place = place.parent().expect("a folder");
    let plain = tempfile::tempdir_in(place).expect("a folder");
    let folder = tempfile::tempdir_in(place).expect("a folder");
    let stage = Stage::set(&folder.path().join("real"), stage::options());
    let lazy = Stage::set(&folder.path().join("lazy"), Options { sync: false, ..stage::options() });
    let places = [("plain", plain.path()), ("faultfs", &stage.data), ("faultfs without sync", &lazy.data)];
    if wants("calls") {
        for (name, path) in places {
            calls(name, path);
        }
    }
    if wants("power") {
        power(&lazy);
    }
    if wants("etcd") {
        for (flags, what) in [(&[][..], "etcd puts"), (&["--unsafe-no-fsync"][..], "etcd puts without fsync")]
        {
            for clients in [1, 16] {
                etcd_in_turn(
                    &format!("{what}, {clients} clients"),
                    plain.path(),
                    &stage.data,
                    flags,
                    clients,
                );
            }
        }
    }
    stage.strike();
    lazy.strike();
}

fn row(name: &str, value: f64, unit: &str) {
    println!("{{\"name\": \"{name}\", \"value\": {value:.2}, \"unit\": \"{unit}\"}}");
}

/// The middle and the 99th of 100 of what calls take, in microseconds.
fn quantiles(name: &str, calls: usize, mut call: impl FnMut(usize)) {
    let mut took: Vec<f64> = (0..calls)
        .map(|k| {
            let start = Instant::now();
            call(k);
            start.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    took.sort_by(f64::total_cmp);
    row(&format!("{name}, p50"), took[calls / 2], "us");
    row(&format!("{name}, p99"), took[calls * 99 / 100], "us");
}

fn calls(name: &str, folder: &Path) {
    let file = File::create(folder.join("calls")).expect("a file");
    file.set_len(64 << 20).expect("room");
    for at in 0..64 {
        file.write_all_at(&vec![0; 1 << 20], at << 20).expect("written");
    }
    file.sync_all().expect("synced");
    let write =
        |k: usize| file.write_all_at(&[k as u8; 4096], (k as u64 * 4096) % (64 << 20)).expect("written");
    quantiles(&format!("4 KiB write, {name}"), 5000, write);
    file.sync_all().expect("synced");
    quantiles(&format!("4 KiB overwrite and fdatasync, {name}"), 300, |k| {
        write(k);
        file.sync_data().expect("synced");
    });
    let appended =
        OpenOptions::new().append(true).create(true).open(folder.join("appended")).expect("a file");
    quantiles(&format!("4 KiB append and fdatasync, {name}"), 300, |k| {
        (&appended).write_all(&[k as u8; 4096]).expect("written");
        appended.sync_data().expect("synced");
    });
    quantiles(&format!("create, rename and remove, {name}"), 1000, |_| {
        File::create(folder.join("one")).expect("created");
        fs::rename(folder.join("one"), folder.join("other")).expect("renamed");
        fs::remove_file(folder.join("other")).expect("removed");
    });
}

/// A gigabyte that is durable, and a tail that is not.
fn power(stage: &Stage) {
    let files: Vec<File> = (0..16)
        .map(|k| {
            let file = File::create(stage.path(&format!("file{k}"))).expect("a file");
            for at in 0..64 {
                file.write_all_at(&vec![k; 1 << 20], at << 20).expect("written");
            }
            file.sync_all().expect("synced");
            file
        })
        .collect();
    for tail_mib in [1u64, 8, 32] {
        let writes = tail_mib << 8;
        for k in 0..writes {
            files[(k % 16) as usize].write_all_at(&[0xff; 4096], k / 16 * 4096).expect("written");
        }
        let start = Instant::now();
        let discarded = stage.cut_power();
        let name = format!("power loss, 1 GiB with {tail_mib} MiB unsynced");
        row(&name, start.elapsed().as_secs_f64() * 1e3, "ms");
        assert_eq!(discarded.bytes, tail_mib << 20);
    }
}

/// etcd on the plain disk and on this one, in turn, so that whatever else the machine does hits both.
fn etcd_in_turn(name: &str, plain: &Path, harmed: &Path, flags: &[&str], clients: usize) {
    let mut puts = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (puts, folder) in puts.iter_mut().zip([plain, harmed]) {
            let Some(rate) = etcd(folder, flags, clients) else { return eprintln!("no etcd here") };
            puts.push(rate);
        }
    }
    let [plain, harmed] = puts.map(|mut puts| {
        puts.sort_by(f64::total_cmp);
        puts[ROUNDS / 2]
    });
    row(&format!("{name}, plain"), plain, "puts/s");
    row(&format!("{name}, faultfs"), harmed, "puts/s");
    row(&format!("{name}, share of plain"), harmed / plain, "ratio");
}

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_millis(1500);

/// Puts of 100 bytes a second, over etcd's JSON gateway.
fn etcd(folder: &Path, flags: &[&str], clients: usize) -> Option<f64> {
    let (client, peer) = ("http://127.0.0.1:23790", "http://127.0.0.1:23800");
    let data = folder.join("etcd");
    fs::remove_dir_all(&data).ok();
    let mut command = Command::new("etcd");
    command.arg("--data-dir").arg(&data).args([
        "--listen-client-urls",
        client,
        "--advertise-client-urls",
        client,
    ]);
    command.args(["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]);
    command.args(["--initial-cluster", &format!("default={peer}")]).args(flags);
    let mut server = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
    stage::eventually("etcd", || put(&mut None, 0).is_some());
    let end = Instant::now() + ROUND;
    let puts: usize = std::thread::scope(|scope| {
        let work = || {
            let (mut connection, mut done) = (None, 0);
            while Instant::now() < end {
                put(&mut connection, done).expect("an answer");
                done += 1;
            }
            done
        };
        let clients: Vec<_> = (0..clients).map(|_| scope.spawn(work)).collect();
        clients.into_iter().map(|client| client.join().expect("no panic")).sum()
    });
    server.kill().ok();
    server.wait().ok();
    fs::remove_dir_all(&data).ok();
    Some(puts as f64 / ROUND.as_secs_f64())
}

/// One put over a connection that is kept; `None` if nobody answers.
fn put(connection: &mut Option<BufReader<TcpStream>>, k: usize) -> Option<()> {
    let stream = match connection {
        Some(stream) => stream,
        None => {
            let stream = TcpStream::connect("127.0.0.1:23790").ok()?;
            stream.set_nodelay(true).ok()?;
            connection.insert(BufReader::new(stream))
        }
    };
    let key = format!("a2V5{:04}", k % 1000);
    let body = format!("{{\"key\": \"{key}\", \"value\": \"{}\"}}", "dmFs".repeat(33));
    let head = "POST /v3/kv/put HTTP/1.1\r\nHost: etcd\r\nContent-Type: application/json\r\n";
    let request = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
    stream.get_mut().write_all(request.as_bytes()).ok()?;
    let (mut line, mut length) = (String::new(), 0);
    let mut ok = false;
    loop {
        line.clear();
        stream.read_line(&mut line).ok()?;
        ok |= line.starts_with("HTTP/1.1 200");
        if let Some(value) = line.strip_prefix("Content-Length: ") {
            length = value.trim().parse().ok()?;
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    ok.then_some(())
}
