//! How squall starts the toy and talks to it.

use async_trait::async_trait;
use squall_cluster::Program;
use squall_engine::protocol::{Client, Layout, Target, Via};
use squall_engine::{Completion, Error, Operation};
use squall_history::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

const PORT: u16 = 4000;

#[derive(Debug)]
pub struct Toy;

#[async_trait]
impl Target for Toy {
    fn name(&self) -> &str {
        "toy"
    }

    async fn prepare(&self) -> Result<String, Error> {
        Ok("1".into())
    }

    fn programs(&self, node: usize, layout: &Layout) -> Vec<Program> {
        // Only the first node serves; the others idle, so that there is something to run on each.
        let address = layout.socket(node, PORT).to_string();
        vec![Program::new("toy", ["/proc/self/exe", "toy-server", &address])]
    }

    async fn ready(&self, _node: usize, via: Via<'_>) -> Result<(), Error> {
        open(via).await.map(drop)
    }

    async fn connect(&self, _node: usize, via: Via<'_>) -> Result<Box<dyn Client>, Error> {
        Ok(Box::new(Connection { stream: open(via).await?, broken: false }))
    }

    fn supports(&self, f: &str) -> bool {
        matches!(f, "read" | "write" | "cas")
    }

    fn promises(&self) -> &str {
        "linearizable"
    }
}

async fn open(via: Via<'_>) -> Result<BufReader<TcpStream>, Error> {
    let to = via.layout.socket(0, PORT);
    let stream = via.net.connect(via.slot, to).await;
    stream.map(BufReader::new).map_err(|e| Error::Target(format!("{to}: {e}")))
}

struct Connection {
    stream: BufReader<TcpStream>,
    broken: bool,
}

#[async_trait]
impl Client for Connection {
    async fn invoke(&mut self, op: &Operation) -> Completion {
        let line = match (&*op.f, op.value.as_pair()) {
            ("read", _) => format!("get {}\n", op.key),
            ("cas", Some((old, new))) => format!("cas {} {old} {new}\n", op.key),
            _ => format!("set {} {}\n", op.key, op.value),
        };
        // Unusable unless the answer comes back whole.
        self.broken = true;
        let mut answer = String::new();
        let asked = async {
            self.stream.get_mut().write_all(line.as_bytes()).await?;
            self.stream.read_line(&mut answer).await
        };
        match asked.await {
            Ok(n) if n > 0 => self.broken = false,
            Ok(_) => return Completion::unclear(op, "closed", "the connection was closed"),
            Err(e) => return Completion::unclear(op, "broken", e.to_string()),
        }
        match answer.trim_end() {
            "done" => Completion::ok(op.value.clone()),
            "mismatch" => Completion::ok("mismatch"),
            "null" => Completion::ok(Value::Nil),
            number => match number.parse::<i64>() {
                Ok(number) => Completion::ok(number),
                Err(_) => Completion::unclear(op, "not-understood", number),
            },
        }
    }

    fn is_usable(&self) -> bool {
        !self.broken
    }
}
