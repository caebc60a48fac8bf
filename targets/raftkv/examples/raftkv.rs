//! The server as a program of its own: `cargo run -p squall-raftkv --example raftkv -- serve --help`.

fn main() {
    std::process::exit(squall_raftkv::cli::run(std::env::args_os().skip(1)));
}
