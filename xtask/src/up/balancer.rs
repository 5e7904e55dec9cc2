//! One address over several processes, connection by connection. A process that does not accept is passed over.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// How long a process may take to accept; on one machine that is at once or not at all.
const CONNECT: Duration = Duration::from_millis(500);

/// Passes on what comes to the listener, until the program ends.
pub fn run(listener: TcpListener, targets: Vec<SocketAddr>) {
    let targets: Arc<[SocketAddr]> = targets.into();
    let next = Arc::new(AtomicUsize::new(0));
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let (targets, first) = (targets.clone(), next.fetch_add(1, Ordering::Relaxed));
            thread::spawn(move || {
                let server = (0..targets.len()).find_map(|tried| {
                    TcpStream::connect_timeout(&targets[(first + tried) % targets.len()], CONNECT).ok()
                });
                // Nobody there: the client's connection is closed, as a proxy without a backend would.
                if let Some(server) = server {
                    let _ = pass(client, server);
                }
            });
        }
    });
}

/// Both ways, until both have ended.
fn pass(client: TcpStream, server: TcpStream) -> io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
    let upward = thread::spawn(move || {
        let _ = io::copy(&mut from_client, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Write);
    });
    let (mut from_server, mut to_client) = (server, client);
    let _ = io::copy(&mut from_server, &mut to_client);
    let _ = to_client.shutdown(Shutdown::Both);
    let _ = from_server.shutdown(Shutdown::Both);
    let _ = upward.join();
    Ok(())
}
