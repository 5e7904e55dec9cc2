//! The process's sockets: how many it may have open, and the one that it listens on.

use std::net::SocketAddr;

use anyhow::Context;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpSocket};

/// Files and sockets that a role wants: 12,000 clients, those passed on to other processes, and the stores.
pub const WANTED: u64 = 20_000;
/// Connections that may wait until they are accepted. When an on-sale begins thousands come within a moment, and one that finds no room
/// is reset after it was made. What the system allows, usually 4,096 (`net.core.somaxconn`), is the end of it.
const BACKLOG: u32 = 8_192;

/// Raises this process's limit of open files as far as it may; how many it may open then.
///
/// A shell's or service's usual limit is 1,024, which is a soft one: meant for programs that use `select`, to be raised by any other
/// up to the hard one (systemd's documentation of `LimitNOFILE=`). With a thousand sockets the on-sale would end at the thousandth buyer.
pub fn raise_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let hard = limit.maximum.unwrap_or(u64::MAX);
    if limit.current.is_some_and(|soft| soft < WANTED.min(hard)) {
        let raised = Rlimit { current: Some(WANTED.min(hard)), maximum: limit.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(%error, "the limit of open files stays as it was");
        }
    }
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Listens there.
///
/// # Errors
/// When the address cannot be bound.
pub fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let bound = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // A program that is started again need not wait until the old one's connections are forgotten.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    bound().with_context(|| format!("{address} cannot be bound; TICKIZ_LISTEN names another address"))
}
