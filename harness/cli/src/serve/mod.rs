//! `squall serve`: the store in a browser.
//!
//! Read-only, on loopback alone: nothing is written, no request but GET and HEAD is answered, a request whose
//! `Host` is no loopback name is refused (another site's page could otherwise read the store by pointing a name
//! of its own at this machine), and no path leads out of the store, links included. Every page is made from the
//! folders as they are, so runs that go on are shown too. What came from a target is shown inert: pages escape it,
//! and of the store's files only those that squall wrote itself are ever served as pages.

mod answer;
mod body;
mod brief;
mod command;
mod pages;
mod paths;
mod routes;

pub(crate) use command::serve;

/// The list of a store's runs, made as a server makes it that was just started.
pub(crate) fn lister(root: std::path::PathBuf) -> impl Fn() -> String {
    let site = routes::Site::new(root);
    move || pages::list(&site, "", None)
}
