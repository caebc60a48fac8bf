//! Opening pages in a real browser.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The browser, or nothing with the reason printed; `SQUALL_REQUIRE=all` makes its absence a failure.
pub fn browser() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let found = std::env::split_paths(&path)
        .flat_map(|dir| names.map(|name| dir.join(name)))
        .find(|program| program.is_file());
    if found.is_none() {
        assert_ne!(std::env::var("SQUALL_REQUIRE").as_deref(), Ok("all"), "no Chromium on the PATH");
        println!("skipped: no Chromium on the PATH");
    }
    found
}

/// Opens a page and gives its document once the script ran, and what the console said.
#[allow(dead_code, reason = "not every test has a page of its own")]
pub fn open(browser: &Path, page: &str, hash: &str) -> (String, String) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a page.html");
    std::fs::write(&file, page).unwrap();
    visit(browser, &format!("file://{}{hash}", file.display()).replace(' ', "%20"))
}

/// The same for a page at an address.
pub fn visit(browser: &Path, url: &str) -> (String, String) {
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--enable-logging=stderr", "--virtual-time-budget=3000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", dir.path().join("profile").display()))
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (dom, log) = (read(child.stdout.take().unwrap()), read(child.stderr.take().unwrap()));
    let limit = Instant::now() + Duration::from_secs(180);
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > limit {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("the browser does not end");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    (dom.join().unwrap(), log.join().unwrap())
}

/// Reads to the end in a thread of its own, so that neither pipe can fill up.
fn read(mut from: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

pub fn quiet(log: &str) {
    let said: Vec<&str> = log.lines().filter(|l| l.contains("CONSOLE")).collect();
    assert!(said.is_empty(), "the console says: {said:#?}");
}
