//! Real clusters.
use squall_cluster::*;
fn main() {
    squall_local::keeper::run_if_asked();
    let rt = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    rt.block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let spec = ClusterSpec { nodes: 5, clients: 10, seed: 1, dir: dir.path().into(), needs: Default::default(), pcap: false };
        let wires = if std::env::args().nth(1).as_deref() == Some("veth") { squall_local::Wires::Veth } else { squall_local::Wires::Auto };
        let provider = squall_local::LocalProvider::new().with_wires(wires);
        for _ in 0..3 {
            let t = std::time::Instant::now();
            let c = provider.provision(&spec).await.unwrap();
            println!("up {:?}", t.elapsed());
            let out = c.nodes[0].run(&Program::new("id", ["sh", "-c", "id; hostname; cat /etc/hosts; ip -br a; pwd; ping -c 2 n3; ps ax"]), std::time::Duration::from_secs(5)).await.unwrap();
            println!("{} {}{}", out.exit, String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
            let py = "import socket\ns=socket.create_server(('0.0.0.0',8000))\nwhile True:\n c,a=s.accept()\n c.sendall(repr(a).encode());c.close()";
            c.nodes[1].start(&Program::new("srv", ["python3", "-c", py])).await.unwrap();
            println!("{:?}", c.nodes[1].state("srv"));
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            use tokio::io::AsyncReadExt;
            for slot in [0usize, 9] {
            let t = std::time::Instant::now();
            let mut s = c.net.connect(slot, (c.nodes[1].address(), 8000).into()).await.unwrap();
            println!("connect {:?}", t.elapsed());
            let mut b = String::new(); s.read_to_string(&mut b).await.unwrap(); println!("{b}");
            }
            c.nodes[1].pause().await.unwrap(); println!("paused {}", c.nodes[1].is_paused().await.unwrap());
            println!("killed {}", c.nodes[1].kill().await.unwrap());
            println!("{:?}", c.nodes[1].state("srv"));
            println!("{:?}", c.nodes[1].start(&Program::new("nope", ["nope"])).await);
            let t = std::time::Instant::now();
            c.shut_down().await.unwrap();
            println!("down {:?}", t.elapsed());
        }
    });
}
