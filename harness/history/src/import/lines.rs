//! squall's own log as `zstdcat` prints it, or as `squall export` writes it.
//!
//! Marks, if there are any, cut it as they cut the log in frames; without marks it is all there is.

use super::ImportError;
use super::window::Window;
use crate::json::Json;
use crate::pool::Pool;
use crate::runlog::{Assembler, Names, ReadError, entry};
use crate::scan::Stop;
use crate::{History, Skipped, object};

pub(super) fn read(window: &mut Window<'_>) -> Result<(History, Skipped), ImportError> {
    let mut pool = Pool::default();
    let (mut assembler, mut names, mut skipped) = (Assembler::new(), Names::default(), Skipped::default());
    loop {
        let mut json = Json::new(&window.bytes, window.at, &mut pool);
        let object = match json.peek().and_then(|_| object::read(&mut json, |_| None)) {
            Ok(object) => object,
            Err(Stop::More) if !window.ended => {
                window.fill()?;
                continue;
            }
            // The last line may have been cut off as it was copied: so may a run.
            Err(_) if window.rest_is_one_line() => {
                let rest = &window.bytes[window.at..window.bytes.len() - 1];
                skipped.bytes = rest.trim_ascii().len() as u64;
                break;
            }
            Err(stop) => return Err(window.error(stop)),
        };
        let (at, to) = (object.from, object.to);
        let wrong = |source| ImportError::Event { line: window.line(at), source };
        if object.kind.as_deref() == Some("mark") {
            let time = object.time.ok_or_else(|| Stop::Bad { at, expected: "a mark with a `time`".into() });
            assembler.mark(time.map_err(|stop| window.error(stop))?).map_err(wrong)?;
        } else {
            let entry = entry(&window.bytes, object, &mut names).map_err(|stop| window.error(stop))?;
            assembler.entry(entry);
        }
        if assembler.is_late() {
            let expected = "an event later than the mark before it".into();
            return Err(window.error(Stop::Bad { at, expected }));
        }
        window.at = to;
    }
    if assembler.marks() == 0 {
        assembler.mark(u64::MAX).map_err(ReadError::from)?;
    }
    let (history, events) = assembler.finish().map_err(ReadError::from)?;
    skipped.events = events;
    if skipped.bytes > 0 || events > 0 {
        skipped.reason = "the end of the log, after its last mark, is left out".to_owned();
    }
    Ok((history, skipped))
}
