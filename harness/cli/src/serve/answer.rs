//! Answers and their headers.

use http_body_util::{Either, Full};
use hyper::body::Bytes;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

use super::body::FileBody;

pub(super) type Answer = Response<Either<Full<Bytes>, FileBody>>;

/// Pages ask for nothing but themselves.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, &str); 4] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
];

/// An answer with a body of this type.
pub(super) fn with(status: StatusCode, kind: &'static str, body: Either<Full<Bytes>, FileBody>) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    answer
}

pub(super) fn page(text: String) -> Answer {
    with(StatusCode::OK, "text/html; charset=utf-8", Either::Left(Full::new(text.into())))
}

/// A sentence.
pub(super) fn plain(status: StatusCode, text: &'static str) -> Answer {
    with(status, "text/plain; charset=utf-8", Either::Left(Full::new(Bytes::from_static(text.as_bytes()))))
}

pub(super) fn not_found() -> Answer {
    plain(StatusCode::NOT_FOUND, "there is no such thing in the store\n")
}

/// How a file of the store is served, by its name. Only what squall writes itself is a page; anything else that
/// could be one is shown as text, and what nobody reads as it is becomes a download.
pub(super) fn kind_of(name: &str) -> (&'static str, bool) {
    match name {
        "report.html" | "index.html" => ("text/html; charset=utf-8", false),
        _ => match name.rsplit_once('.').map_or("", |(_, end)| end) {
            "json" => ("application/json", false),
            "yaml" | "log" | "txt" | "html" | "xml" | "svg" | "" => ("text/plain; charset=utf-8", false),
            _ => ("application/octet-stream", true),
        },
    }
}
