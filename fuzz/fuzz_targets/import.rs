//! Any bytes, as a history from outside.
#![no_main]

use libfuzzer_sys::fuzz_target;
use squall_history::import::{self, Keyed, Options};
use squall_history::{History, NEVER, export};

fuzz_target!(|bytes: &[u8]| {
    for keyed in [Keyed::Auto, Keyed::Yes, Keyed::No] {
        for clock_error in [0, 5] {
            if let Ok(imported) = import::read(bytes, &Options { keyed, clock_error }) {
                sound(&imported.history);
                export_all(&imported.history);
            }
        }
    }
});

/// Ranks are distinct, follow operations and never contradict time.
fn sound(history: &History) {
    let mut ranks: Vec<u32> = Vec::new();
    for op in history.ops() {
        assert!(op.invoked < op.completed && op.start <= op.end);
        ranks.push(op.invoked);
        ranks.extend(Some(op.completed).filter(|&r| r != NEVER));
    }
    assert!(history.ops().map(|op| op.invoked).is_sorted());
    ranks.sort_unstable();
    assert!(ranks.windows(2).all(|w| w[0] < w[1]));
}

fn export_all(history: &History) {
    let (mut edn, mut lines) = (Vec::new(), Vec::new());
    export::edn(history, &mut edn).expect("a vector takes any bytes");
    export::jsonl(history, &mut lines).expect("a vector takes any bytes");
    export::csv(history, std::io::sink()).expect("a sink takes any bytes");
    export::perfetto(history, std::io::sink()).expect("a sink takes any bytes");
    if !history.is_empty() {
        let keyed = if history.is_keyed() { Keyed::Yes } else { Keyed::No };
        let back = import::read(&edn[..], &Options { keyed, clock_error: 0 }).expect("our own EDN");
        assert_eq!(back.history.len(), history.len());
    }
}
