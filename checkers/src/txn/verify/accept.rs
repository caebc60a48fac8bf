//! From a certificate's kind to what verifies it.

use squall_history::History;

use super::arbitration::{verify_arbitration, verify_session_orders};
use super::cycle::verify_cycle;
use super::order::verify_order;
use super::reads::verify_reads;
use super::small::verify_subhistory;
use crate::Certificate;

/// Kinds of certificate that are known here.
pub const KINDS: [&str; 6] = ["cycle", "order", "arbitration", "session-orders", "subhistory", "reads"];

/// Whether the certificate proves what it claims of this history; otherwise why not.
pub fn verify(history: &History, certificate: &Certificate) -> Result<(), String> {
    match certificate.kind.as_str() {
        "cycle" => verify_cycle(history, &certificate.body),
        "order" => verify_order(history, &certificate.body),
        "arbitration" => verify_arbitration(history, &certificate.body),
        "session-orders" => verify_session_orders(history, &certificate.body),
        "subhistory" => verify_subhistory(history, &certificate.body),
        "reads" => verify_reads(history, &certificate.body),
        other => Err(format!("certificates of kind {other:?} are not known here")),
    }
}
