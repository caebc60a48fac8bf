//! One row an operation (RFC 4180). Keys and values are JSON; times are nanoseconds since the run began, and
//! empty where an operation never ended. Faults and notes are left out.

use std::io::{self, Write};

use squall_history::{History, Outcome};

const HEADER: &str =
    "index,process,node,f,key,input,output,outcome,intended_nanos,start_nanos,end_nanos,error\r\n";

/// Writes all operations.
pub(crate) fn write(history: &History, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(HEADER.as_bytes())?;
    for op in history.ops() {
        let outcome = match op.outcome {
            Outcome::Ok => "ok",
            Outcome::Fail => "fail",
            Outcome::Info => "info",
        };
        let json = |v: &squall_history::Value| if v.is_nil() { String::new() } else { v.to_string() };
        let end = if op.end == u64::MAX { String::new() } else { op.end.to_string() };
        let error = history.meta(op.index as usize).and_then(|m| m.error.clone()).unwrap_or_default();
        let row = [
            op.index.to_string(),
            op.process.to_string(),
            history.node_of(op.process).unwrap_or("").to_owned(),
            op.f.to_owned(),
            json(op.key),
            json(op.input),
            json(op.output),
            outcome.to_owned(),
            op.intended.to_string(),
            op.start.to_string(),
            end,
            error,
        ];
        let row: Vec<String> = row.iter().map(|field| quoted(field)).collect();
        out.write_all(row.join(",").as_bytes())?;
        out.write_all(b"\r\n")?;
    }
    Ok(())
}

fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        return format!("\"{}\"", field.replace('"', "\"\""));
    }
    field.to_owned()
}
