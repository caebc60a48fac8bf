//! etcd made anew from a snapshot, as its documentation has it: `snapshot restore` on every node, into a new data
//! directory, as members of a new cluster.

use std::path::PathBuf;

use async_trait::async_trait;
use squall_cluster::Program;
use squall_engine::Error;
use squall_engine::protocol::{Layout, Restore, Via};

use super::maintenance::read_snapshot;
use super::members::{initial_cluster, peer_url};
use super::target::Etcd;
use crate::on_path::find_on_path;

/// Restores by their names: etcdctl's is gone since 3.6, where etcdutl has it.
const TOOLS: [&str; 2] = ["etcdutl", "etcdctl"];
/// Where a node keeps the snapshot meanwhile, and what is made of it.
const FILE: &str = "snapshot.db";
const FRESH: &str = "etcd.restored";

impl Etcd {
    /// The tool that lies beside the executable, else that of the system.
    fn tool(&self) -> Result<PathBuf, Error> {
        let beside = self.beside().into_iter().flat_map(|dir| TOOLS.map(|tool| dir.join(tool)));
        beside
            .filter(|path| path.is_file())
            .chain(TOOLS.into_iter().filter_map(find_on_path))
            .next()
            .ok_or_else(|| {
                let text = "`restore` needs etcdctl or etcdutl beside etcd or on the PATH; on Debian and Ubuntu: \
                            apt-get install etcd-client";
                Error::Missing(text.into())
            })
    }
}

#[async_trait]
impl Restore for Etcd {
    fn possible(&self) -> Result<(), Error> {
        self.tool().map(drop)
    }

    async fn save(&self, node: usize, via: Via<'_>) -> Result<Vec<u8>, Error> {
        read_snapshot(node, via).await
    }

    fn restoring(&self, node: usize, saved: &[u8], layout: &Layout) -> Result<Program, Error> {
        // The new data take the place of the old only once they are whole.
        let script = format!(
            "rm -rf {FRESH} && \"$0\" snapshot restore {FILE} --data-dir {FRESH} \"$@\" && rm -rf etcd && mv {FRESH} etcd && \
             rm {FILE}"
        );
        let members = initial_cluster(0..layout.nodes.len(), layout);
        let flags: [(&str, &str); 3] = [
            ("--name", &layout.nodes[node].name),
            ("--initial-cluster", &members),
            ("--initial-advertise-peer-urls", &peer_url(node, layout)),
        ];
        let mut program = Program::new("etcd-restore", ["sh", "-c", &script]);
        program.argv.push(self.tool()?.into());
        program.argv.extend(flags.iter().flat_map(|(flag, value)| [flag.into(), value.into()]));
        program.env.insert("ETCDCTL_API".into(), "3".into());
        program.files.push((FILE.into(), saved.to_vec()));
        Ok(program)
    }
}
