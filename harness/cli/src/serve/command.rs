//! The command: binds, says where, answers until it is interrupted.

use std::sync::Arc;

use anyhow::Context as _;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::routes::{Site, answer};
use crate::args::ServeArgs;
use crate::output::{print, say};
use crate::{Exit, Refused};

/// How long a browser may take to say what it wants.
const HEADER_LIMIT: std::time::Duration = std::time::Duration::from_secs(30);

/// Serves the store until it is interrupted.
pub(crate) fn serve(args: &ServeArgs) -> anyhow::Result<Exit> {
    let address = args.listen;
    if !address.ip().is_loopback() {
        let text = format!("{address} is no loopback address: the store is shown on this machine only");
        return Err(Refused(text).into());
    }
    let root = std::fs::canonicalize(&args.store)
        .map_err(|e| Refused(format!("{} is no store: {e}", args.store.display())))?;
    if !root.is_dir() {
        return Err(Refused(format!("{} is no store: it is no folder", args.store.display())).into());
    }
    let site = Arc::new(Site::new(root));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(address)
            .await
            .map_err(|e| Refused(format!("cannot listen on {address}: {e}")))?;
        let bound = listener.local_addr().context("the address that was bound")?;
        print(&format!("http://{bound}/\n"))?;
        say("showing the store; Ctrl-C ends it");
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            () = accept(listener, site) => {}
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        Ok(Exit::Valid)
    })
}

async fn accept(listener: TcpListener, site: Arc<Site>) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(e) => {
                say(&format!("a connection was lost: {e}"));
                // Out of descriptors, most likely: asking again at once would spin.
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                continue;
            }
        };
        let site = site.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(site.clone(), request));
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(HEADER_LIMIT);
            // A browser that goes away is no news.
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}
