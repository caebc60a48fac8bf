//! How squall starts the toy, sees whether it serves, and reaches it.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value as Json;
use squall_cluster::Program;
use squall_engine::Error;
use squall_engine::protocol::{Client, Layout, Target, Via};

use crate::client;

const PORT: u16 = 4000;

#[derive(Debug)]
pub struct Toy {
    forgetful: bool,
}

impl Toy {
    /// From its options in a campaign: `{forgetful: true}`.
    pub fn build(options: &Json) -> Result<Arc<dyn Target>, Error> {
        let forgetful = match options {
            Json::Null => false,
            Json::Object(map) if map.keys().all(|k| k == "forgetful") => {
                map.get("forgetful").is_some_and(|v| v == true)
            }
            other => {
                return Err(Error::Config(format!(
                    "options of `toy`: forgetful, true or false; not {other}"
                )));
            }
        };
        Ok(Arc::new(Toy { forgetful }))
    }
}

#[async_trait]
impl Target for Toy {
    fn name(&self) -> &str {
        "toy"
    }

    async fn prepare(&self) -> Result<String, Error> {
        Ok("1".into())
    }

    fn programs(&self, node: usize, layout: &Layout) -> Vec<Program> {
        // Only the first node is asked; the others idle, so that there is something to run on each.
        let address = layout.socket(node, PORT).to_string();
        let how = if self.forgetful { "forgetful" } else { "true" };
        vec![Program::new("toy", ["/proc/self/exe", "toy-server", &address, how])]
    }

    async fn ready(&self, _node: usize, via: Via<'_>) -> Result<(), Error> {
        client::open(via, via.layout.socket(0, PORT)).await.map(drop)
    }

    async fn connect(&self, _node: usize, via: Via<'_>) -> Result<Box<dyn Client>, Error> {
        Ok(Box::new(client::open(via, via.layout.socket(0, PORT)).await?))
    }

    fn supports(&self, f: &str) -> bool {
        matches!(f, "highest.raise" | "highest.read")
    }

    fn promises(&self) -> &str {
        "linearizable"
    }
}
