//! The toy itself: a line in, a line out. `get K`, `set K V`, `cas K OLD NEW`; values are JSON without blanks.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

type Store = Arc<Mutex<HashMap<String, String>>>;

pub fn serve(address: &str) -> ExitCode {
    let listener = match TcpListener::bind(address) {
        Ok(listener) => listener,
        Err(e) => {
            eprintln!("toy-server: {address}: {e}");
            return ExitCode::FAILURE;
        }
    };
    let store = Store::default();
    for connection in listener.incoming().flatten() {
        let store = store.clone();
        std::thread::spawn(move || answer(connection, &store));
    }
    ExitCode::SUCCESS
}

fn answer(connection: TcpStream, store: &Store) -> std::io::Result<()> {
    let mut out = connection.try_clone()?;
    for line in BufReader::new(connection).lines() {
        let line = line?;
        let reply = {
            let mut store = store.lock().expect("no holder panics");
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["get", key] => store.get(key).cloned().unwrap_or("null".into()),
                ["set", key, value] => {
                    store.insert(key.into(), value.into());
                    "done".into()
                }
                ["cas", key, old, new] => {
                    let matches = store.get(key).map_or("null", String::as_str) == old;
                    if matches {
                        store.insert(key.into(), new.into());
                    }
                    if matches { "done" } else { "mismatch" }.to_owned()
                }
                _ => "what?".into(),
            }
        };
        // In one piece: two small writes would wait for each other.
        out.write_all(format!("{reply}\n").as_bytes())?;
    }
    Ok(())
}
