//! The log on disk: cut at every byte, each byte flipped, sectors zeroed. What comes back is what was
//! acknowledged, or a clear refusal; never something else.

use std::path::Path;

use bytes::Bytes;
use squall_raftkv::raft::{Entry, HardState, Membership, Payload, Write};
use squall_raftkv::wal::{DataDir, Identity, Recovered, Wal, WalError, WalOptions};

/// Thousands of repairs with their flushes: in memory where there is such a place.
fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn identity() -> Identity {
    let node = "n1".parse().unwrap();
    Identity { cluster: "test".into(), node, founders: Membership::of([node]) }
}

fn entry(index: u64, term: u64, size: usize) -> Entry {
    let data = Bytes::from(vec![b'a' + (index % 26) as u8; size]);
    Entry { term, index, payload: Payload::Command(data) }
}

/// Other tests start processes: for the moment between fork and exec those hold every lock of this one too.
fn lock(dir: &Path) -> Result<DataDir, WalError> {
    for _ in 0..1000 {
        match DataDir::open(dir, &identity()) {
            Err(WalError::Refused(why)) if why.contains("in use") => {
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            other => return other.map(|(data, _)| data),
        }
    }
    panic!("the lock is never free");
}

fn open(dir: &Path) -> Result<(Wal, Recovered, DataDir), WalError> {
    let data = lock(dir)?;
    let (wal, recovered) = Wal::open(&data, WalOptions { segment_bytes: 1 << 20, ..WalOptions::default() })?;
    Ok((wal, recovered, data))
}

/// Writes one frame each; returns the state after each frame, the first being "nothing written".
fn write(dir: &Path, writes: &[Write]) -> Vec<Recovered> {
    let (mut wal, _, _data) = open(dir).unwrap();
    let mut states = vec![Recovered::default()];
    for write in writes {
        wal.append(vec![write.clone()]).unwrap();
        let mut state = states.last().unwrap().clone();
        if let Some(hard_state) = write.hard_state {
            state.hard_state = hard_state;
        }
        for entry in &write.entries {
            state.entries.truncate(entry.index as usize - 1);
            state.entries.push(entry.clone());
        }
        states.push(state);
    }
    states
}

fn sample() -> Vec<Write> {
    let state = |term, vote: Option<&str>| Some(HardState { term, vote: vote.map(|v| v.parse().unwrap()) });
    vec![
        Write { seq: 1, hard_state: state(1, Some("n1")), base: None, entries: vec![entry(1, 1, 3)] },
        Write { seq: 2, hard_state: None, base: None, entries: vec![entry(2, 1, 700), entry(3, 1, 40)] },
        Write { seq: 3, hard_state: state(2, None), base: None, entries: vec![] },
        Write { seq: 4, hard_state: None, base: None, entries: vec![entry(3, 2, 5), entry(4, 2, 900)] },
    ]
}

fn without_torn(mut recovered: Recovered) -> Recovered {
    recovered.torn_bytes = 0;
    recovered
}

fn segment(dir: &Path) -> std::path::PathBuf {
    dir.join("log-0000000001.wal")
}

#[test]
fn gives_back_what_was_written_and_goes_on() {
    let dir = scratch();
    let states = write(dir.path(), &sample());
    let (mut wal, recovered, data) = open(dir.path()).unwrap();
    assert_eq!(&recovered, states.last().unwrap());
    wal.append(vec![Write { seq: 1, hard_state: None, base: None, entries: vec![entry(5, 2, 1)] }]).unwrap();
    drop((wal, data));
    assert_eq!(open(dir.path()).unwrap().1.entries.len(), 5);
}

#[test]
fn spreads_over_segments() {
    let dir = scratch();
    let options = WalOptions { segment_bytes: 2_000, ..WalOptions::default() };
    {
        let data = lock(dir.path()).unwrap();
        let (mut wal, _) = Wal::open(&data, options).unwrap();
        let vote = HardState { term: 1, vote: Some("n1".parse().unwrap()) };
        for i in 1..=30 {
            let hard_state = (i == 1).then_some(vote);
            wal.append(vec![Write { seq: i, hard_state, base: None, entries: vec![entry(i, 1, 400)] }])
                .unwrap();
        }
    }
    let (_, recovered, _data) = open(dir.path()).unwrap();
    assert_eq!(recovered.entries.len(), 30);
    assert_eq!(recovered.hard_state.term, 1);
    assert!(dir.path().join("log-0000000003.wal").exists());
    drop(_data);
    // A whole segment gone, or one that is not the last damaged at its end: refused.
    let second = dir.path().join("log-0000000002.wal");
    let bytes = std::fs::read(&second).unwrap();
    std::fs::write(&second, &bytes[..bytes.len() - 1]).unwrap();
    assert!(matches!(open(dir.path()), Err(WalError::Corrupt { .. })));
    std::fs::remove_file(&second).unwrap();
    assert!(matches!(open(dir.path()), Err(WalError::Refused(_))));
}

#[test]
fn cut_at_any_byte_it_gives_back_a_prefix() {
    let dir = scratch();
    let states = write(dir.path(), &sample());
    let whole = std::fs::read(segment(dir.path())).unwrap();
    let mut best = 0;
    for cut in 0..=whole.len() {
        std::fs::write(segment(dir.path()), &whole[..cut]).unwrap();
        let (_, recovered, _data) = open(dir.path()).unwrap_or_else(|e| panic!("cut at {cut}: {e}"));
        let recovered = without_torn(recovered);
        let at = states.iter().position(|s| *s == recovered);
        let at = at.unwrap_or_else(|| panic!("cut at {cut}: not a prefix: {recovered:?}"));
        assert!(at >= best, "cut at {cut} loses what a shorter file had");
        best = at;
        // The repair is durable: nothing is torn any more.
        drop(_data);
        assert_eq!(open(dir.path()).unwrap().1.torn_bytes, 0, "cut at {cut}");
    }
    assert_eq!(best, states.len() - 1);
}

#[test]
fn a_flipped_bit_is_never_believed_or_dropped() {
    let dir = scratch();
    write(dir.path(), &sample());
    let whole = std::fs::read(segment(dir.path())).unwrap();
    for at in 0..whole.len() {
        for mask in [0x01, 0x80, 0xff] {
            let mut damaged = whole.clone();
            damaged[at] ^= mask;
            std::fs::write(segment(dir.path()), &damaged).unwrap();
            match open(dir.path()) {
                Err(WalError::Corrupt { .. }) => {}
                Err(e) => panic!("byte {at} ^ {mask:#x}: another error: {e}"),
                Ok((_, recovered, _data)) => panic!("byte {at} ^ {mask:#x} was accepted: {recovered:?}"),
            }
        }
    }
}

#[test]
fn a_sector_that_was_never_written_is_a_torn_tail_only_at_the_end() {
    let dir = scratch();
    let states = write(dir.path(), &sample());
    let whole = std::fs::read(segment(dir.path())).unwrap();
    let sectors = whole.len().div_ceil(512);
    let mut torn = 0;
    for sector in 0..sectors {
        let mut damaged = whole.clone();
        let end = damaged.len().min((sector + 1) * 512);
        damaged[sector * 512..end].fill(0);
        std::fs::write(segment(dir.path()), &damaged).unwrap();
        match open(dir.path()) {
            Err(WalError::Corrupt { .. }) => {}
            Err(e) => panic!("sector {sector}: another error: {e}"),
            Ok((_, recovered, _data)) => {
                assert!(recovered.torn_bytes > 0, "sector {sector}");
                assert_eq!(
                    without_torn(recovered),
                    states[3],
                    "only the last frame may be torn (sector {sector})"
                );
                torn += 1;
            }
        }
    }
    assert!(torn > 0);
}

#[test]
fn refuses_a_directory_that_is_not_its_own() {
    let dir = scratch();
    write(dir.path(), &sample());
    let refused = |identity: &Identity| {
        drop(lock(dir.path()));
        match DataDir::open(dir.path(), identity) {
            Err(WalError::Refused(why)) => why,
            other => panic!("{other:?}"),
        }
    };
    let other = Identity { node: "n2".parse().unwrap(), ..identity() };
    assert!(refused(&other).contains("belongs to node n1"));
    let other = Identity { cluster: "other".into(), ..identity() };
    assert!(refused(&other).contains("cluster \"test\""));
    let _held = lock(dir.path()).unwrap();
    let again = DataDir::open(dir.path(), &identity()).map(|_| ()).unwrap_err().to_string();
    assert!(again.contains("in use by another process"), "{again}");
    drop(_held);
    std::fs::remove_file(segment(dir.path())).unwrap();
    assert!(refused(&identity()).contains("no log"));
}
