//! Which answer a request gets.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;

use http_body_util::Either;
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, StatusCode};

use super::answer::{Answer, kind_of, not_found, page, plain, with};
use super::body::FileBody;
use super::brief::Briefs;
use super::{pages, paths};

/// What every answer is made from.
pub(super) struct Site {
    /// The store, canonical.
    pub root: PathBuf,
    pub briefs: Briefs,
}

impl Site {
    pub(super) fn new(root: PathBuf) -> Self {
        Site { root, briefs: Briefs::default() }
    }
}

/// Answers a request. Hyper leaves out the body where it was only asked for the head.
pub(super) async fn answer(site: Arc<Site>, request: Request<Incoming>) -> Result<Answer, Infallible> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Ok(plain(StatusCode::METHOD_NOT_ALLOWED, "the store is only shown here\n"));
    }
    let host = request.headers().get(header::HOST).and_then(|h| h.to_str().ok()).unwrap_or_default();
    if !paths::is_loopback(host) {
        return Ok(plain(StatusCode::FORBIDDEN, "this store is shown on its own machine only\n"));
    }
    let Some(path) = paths::decode(request.uri().path()) else {
        return Ok(plain(StatusCode::BAD_REQUEST, "this path makes no sense\n"));
    };
    let path = path.trim_start_matches('/').to_owned();
    if let Some(file) = path.strip_prefix("files/") {
        return Ok(send(&site, file).await);
    }
    let query = request.uri().query().unwrap_or_default().to_owned();
    let made = tokio::task::spawn_blocking(move || made(&site, &path, &query)).await;
    Ok(match made {
        Ok(Some(text)) => page(text),
        Ok(None) => not_found(),
        Err(_) => {
            plain(StatusCode::INTERNAL_SERVER_ERROR, "this page could not be made: a defect of squall\n")
        }
    })
}

/// A page by its path.
fn made(site: &Site, path: &str, query: &str) -> Option<String> {
    let value = |name| paths::value(query, name);
    let (head, rest) = path.split_once('/').unwrap_or((path, ""));
    match (head, rest.trim_end_matches('/')) {
        ("", "") => Some(pages::list(site, value("q").unwrap_or_default().trim(), value("page").as_deref())),
        ("compare", "") => pages::compare(site, &value("a")?, &value("b")?),
        ("night", night) => pages::night(site, night),
        ("run", run) => pages::run(site, run, value("part").as_deref() == Some("now")),
        _ => None,
    }
}

/// A file of the store.
async fn send(site: &Site, relative: &str) -> Answer {
    let Some(path) = paths::within(&site.root, relative) else { return not_found() };
    let Ok(file) = tokio::fs::File::open(&path).await else { return not_found() };
    let length = match file.metadata().await {
        Ok(meta) if meta.is_file() => meta.len(),
        _ => return not_found(),
    };
    let name = path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    let (kind, download) = kind_of(&name);
    let mut answer = with(StatusCode::OK, kind, Either::Right(FileBody::new(file, length)));
    if download {
        answer.headers_mut().insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    }
    answer
}
