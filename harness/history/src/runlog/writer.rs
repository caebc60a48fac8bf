//! Writes a run's log. Buffers are reused and nothing is allocated per event: this is the recorder's path.

use std::fmt;
use std::io::{self, Write};

use zstd::bulk::Compressor;
use zstd::zstd_safe::{CParameter, compress_bound};

use crate::lines;
use crate::{Entry, Event};

/// Level 1: a fifth of the size at a cost that one core can carry beside the recorder.
const LEVEL: i32 = 1;

/// Writes entries as frames.
///
/// [`LogWriter::push`] only fills a buffer; [`LogWriter::seal`] makes it a frame. Until then nothing is written.
pub struct LogWriter<W: Write> {
    out: W,
    lines: Vec<u8>,
    frame: Vec<u8>,
    compressor: Compressor<'static>,
    pending: u64,
    entries: u64,
    bytes: u64,
    watermark: u64,
}

impl<W: Write> LogWriter<W> {
    /// A log at the present place of `out`. The first entry should be [`Entry::Run`].
    pub fn new(out: W) -> io::Result<Self> {
        let mut compressor = Compressor::new(LEVEL)?;
        compressor.set_parameter(CParameter::ChecksumFlag(true))?;
        Ok(LogWriter {
            out,
            lines: Vec::new(),
            frame: Vec::new(),
            compressor,
            pending: 0,
            entries: 0,
            bytes: 0,
            watermark: 0,
        })
    }

    /// Adds an entry to the frame in the making.
    pub fn push(&mut self, entry: &Entry) {
        lines::write_entry(entry, &mut self.lines);
        self.pending += 1;
    }

    /// The same for an event, without wrapping it.
    pub fn push_event(&mut self, event: &Event) {
        lines::write_event(event, &mut self.lines);
        self.pending += 1;
    }

    /// Bytes of lines that wait for the next [`LogWriter::seal`]. Readers refuse frames over one GiB: seal well
    /// before.
    pub fn buffered(&self) -> usize {
        self.lines.len()
    }

    /// Writes what waits as one frame and flushes `out`; the frame is durable once the caller has synced it.
    ///
    /// `watermark`: the caller's promise that every event with a time of at most this many nanoseconds has been
    /// pushed. It never falls. After an error the log may end in a torn frame: write nothing more to it.
    pub fn seal(&mut self, watermark: u64) -> io::Result<()> {
        debug_assert!(watermark >= self.watermark, "a watermark never falls");
        self.watermark = watermark;
        lines::write_mark(watermark, self.pending, &mut self.lines);
        self.frame.clear();
        self.frame.reserve(compress_bound(self.lines.len()));
        self.compressor.compress_to_buffer(&self.lines, &mut self.frame)?;
        self.out.write_all(&self.frame)?;
        self.out.flush()?;
        self.bytes += self.frame.len() as u64;
        self.entries += self.pending;
        self.pending = 0;
        self.lines.clear();
        Ok(())
    }

    /// Entries in sealed frames.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Bytes written, compressed.
    pub fn bytes_written(&self) -> u64 {
        self.bytes
    }

    /// The latest watermark, nanoseconds.
    pub fn watermark(&self) -> u64 {
        self.watermark
    }

    /// What is written to, for syncing it.
    pub fn get_ref(&self) -> &W {
        &self.out
    }

    /// The same, mutable.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.out
    }

    /// Gives back what was written to. Entries that were not sealed are lost.
    pub fn into_inner(self) -> W {
        self.out
    }
}

impl<W: Write> fmt::Debug for LogWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogWriter")
            .field("entries", &self.entries)
            .field("pending", &self.pending)
            .field("bytes", &self.bytes)
            .field("watermark", &self.watermark)
            .finish_non_exhaustive()
    }
}
