//! A connection's way out, shared by its own task and by whoever has a message ready for it.
//!
//! A frame of seats goes to thousands of connections at once. To wake the task of each costs more than the write itself, so who
//! has the frame [offers](Wire::offer) it to the connection, and the system takes it at once or it is offered again later. Why
//! messages never mix:
//!
//! 1. Everything is written under the lock of [`Out`].
//! 2. From [`Wire::begin_messages`] on a write is taken whole: what the system leaves of it waits as [`Out::rest`], and nothing is
//!    written before that is out. The library of WebSockets writes whole messages only.
//! 3. The rest is bounded by one write, since nobody else's is taken while there is one.
//! 4. Where the connection's own task waits to write, offers wait for it: answers and goodbyes are few, and frames come again.
//!
//! A peer must take what is written to it: a write without progress fails after some time, and so does an offer.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, BytesMut};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::{Instant, Sleep, sleep},
};
use tokio_util::sync::CancellationToken;

/// What became of an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offered {
    /// It is on its way, whole.
    Taken,
    /// It is on its way, but a rest waits until the peer takes it: see [`Wire::push_rest`].
    Begun,
    /// Nothing was taken; offer it again later.
    Busy,
    /// Nothing will be taken any more.
    Over,
}

/// The way out of a connection.
#[derive(Debug)]
pub struct Wire {
    out: Mutex<Out>,
    patience: Duration,
    given_up: CancellationToken,
}

#[derive(Debug)]
struct Out {
    stream: OwnedWriteHalf,
    /// Whether each write is a message, and taken whole.
    messages: bool,
    /// What the system has not taken yet of the last message.
    rest: BytesMut,
    /// Whether the connection's own task waits to write.
    own_waits: bool,
    /// Since when the peer takes nothing.
    stalled: Option<Instant>,
    over: bool,
}

impl Out {
    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.stream.try_write(bytes);
        match &written {
            Ok(_) => self.stalled = None,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.stalled.get_or_insert_with(Instant::now);
            }
            Err(_) => {}
        }
        written
    }

    /// Writes the rest; `WouldBlock` where some is left.
    fn push(&mut self) -> io::Result<()> {
        while !self.rest.is_empty() {
            let mut rest = std::mem::take(&mut self.rest);
            let written = self.try_write(&rest);
            rest.advance(*written.as_ref().unwrap_or(&0));
            // What is out needs no memory any more.
            self.rest = if rest.is_empty() { BytesMut::new() } else { rest };
            if written? == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        Ok(())
    }

    /// Writes behind the rest. A message that was begun is taken whole.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push()?;
        let written = self.try_write(bytes)?;
        if !self.messages {
            return Ok(written);
        }
        self.rest.extend_from_slice(&bytes[written..]);
        Ok(bytes.len())
    }
}

impl Wire {
    /// From now on every write is a message; offers are taken.
    pub fn begin_messages(&self) {
        self.out.lock().messages = true;
    }

    /// Takes no offers any more: what comes now is a goodbye.
    pub fn end_offers(&self) {
        self.out.lock().over = true;
    }

    /// Ends once a peer takes nothing for too long, or is gone.
    pub async fn given_up(&self) {
        self.given_up.cancelled().await;
    }

    /// Offers a message, if at that moment it is still `wanted`.
    pub fn offer(&self, message: &[u8], wanted: impl FnOnce() -> bool) -> Offered {
        let mut out = self.out.lock();
        if out.over || !out.messages || !wanted() {
            return Offered::Over;
        }
        let written = if out.own_waits {
            out.push().and_then(|()| Err(io::ErrorKind::WouldBlock.into()))
        } else {
            out.write(message).map(drop)
        };
        self.outcome(&mut out, written)
    }

    /// Tries to write what waits.
    pub fn push_rest(&self) -> Offered {
        let mut out = self.out.lock();
        if out.over {
            return Offered::Over;
        }
        match out.push() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && !self.is_stalled(&out) => Offered::Begun,
            pushed => self.outcome(&mut out, pushed),
        }
    }

    fn is_stalled(&self, out: &Out) -> bool {
        out.stalled.is_some_and(|since| since.elapsed() >= self.patience)
    }

    fn outcome(&self, out: &mut Out, written: io::Result<()>) -> Offered {
        match written {
            Ok(()) if out.rest.is_empty() => Offered::Taken,
            Ok(()) => Offered::Begun,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && !self.is_stalled(out) => Offered::Busy,
            Err(_) => {
                out.over = true;
                self.given_up.cancel();
                Offered::Over
            }
        }
    }
}

/// A connection as its own task reads and writes it. Fails a write that makes no progress for some time: the peer has stopped
/// reading, and its buffers are full.
#[derive(Debug)]
pub struct Wired {
    input: OwnedReadHalf,
    wire: Arc<Wire>,
    /// Set while a write waits.
    stalled: bool,
    deadline: Pin<Box<Sleep>>,
}

impl Wired {
    /// That stream, whose peer may take nothing for so long.
    pub fn new(stream: TcpStream, patience: Duration) -> Self {
        let (input, stream) = stream.into_split();
        let out = Out { stream, messages: false, rest: BytesMut::new(), own_waits: false, stalled: None, over: false };
        let wire = Arc::new(Wire { out: Mutex::new(out), patience, given_up: CancellationToken::new() });
        Self { input, wire, stalled: false, deadline: Box::pin(sleep(patience)) }
    }

    /// Its way out.
    pub fn wire(&self) -> &Arc<Wire> {
        &self.wire
    }

    fn watch<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = false;
            return written;
        }
        if !self.stalled {
            self.stalled = true;
            let patience = self.wire.patience;
            self.deadline.as_mut().reset(Instant::now() + patience);
        }
        ready!(self.deadline.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer takes nothing")))
    }

    /// Writes once the system takes something.
    fn poll_out<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut write: impl FnMut(&mut Out) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        let written = loop {
            let mut out = self.wire.out.lock();
            match out.stream.as_ref().poll_write_ready(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => break Poll::Ready(Err(error)),
                Poll::Pending => {
                    out.own_waits = true;
                    break Poll::Pending;
                }
            }
            match write(&mut out) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => {
                    out.own_waits = false;
                    break Poll::Ready(written);
                }
            }
        };
        self.watch(cx, written)
    }
}

impl AsyncRead for Wired {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wired {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_out(cx, |out| out.write(buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_out(cx, |out| {
            if out.messages {
                let first = bufs.iter().find(|buf| !buf.is_empty()).map_or(&[][..], |buf| buf);
                return out.write(first);
            }
            out.stream.as_ref().try_write_vectored(bufs)
        })
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut out = self.wire.out.lock();
        if out.rest.is_empty() {
            out.own_waits = false;
            drop(out);
            self.stalled = false;
            return Poll::Ready(Ok(()));
        }
        drop(out);
        self.poll_out(cx, Out::push)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire.out.lock().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpSocket,
        time::timeout,
    };

    use super::*;

    /// How long anything may take before a test gives up.
    const PATIENCE: Duration = Duration::from_secs(20);

    async fn pair(patience: Duration) -> (Wired, TcpStream) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = TcpSocket::new_v4().unwrap();
        peer.set_recv_buffer_size(64 * 1024).unwrap();
        let peer = peer.connect(listener.local_addr().unwrap()).await.unwrap();
        (Wired::new(listener.accept().await.unwrap().0, patience), peer)
    }

    /// Its length, who sends it, its number, and as many bytes of both as make it long.
    fn message(of: u8, number: u8, length: u32) -> Vec<u8> {
        let mut message = length.to_be_bytes().to_vec();
        message.extend((0..length).map(|at| if at % 2 == 0 { of } else { number }));
        message
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn messages_of_many_never_mix_however_slowly_they_are_read() {
        let (mut wired, mut peer) = pair(PATIENCE).await;
        wired.wire().begin_messages();
        let mut offerers = tokio::task::JoinSet::new();
        for of in 1..=3 {
            let wire = Arc::clone(wired.wire());
            offerers.spawn(async move {
                for number in 0..20 {
                    let message = message(of, number, 200_000);
                    loop {
                        match wire.offer(&message, || true) {
                            Offered::Taken | Offered::Begun => break,
                            Offered::Busy => tokio::task::yield_now().await,
                            Offered::Over => panic!("the peer reads"),
                        }
                    }
                }
                // Behind the last message nobody else's write takes its rest along.
                while wire.push_rest() == Offered::Begun {
                    tokio::task::yield_now().await;
                }
            });
        }
        offerers.spawn(async move {
            for number in 0..20 {
                wired.write_all(&message(0, number, 5_000)).await.unwrap();
            }
            wired.flush().await.unwrap();
            // It stays open until all is out.
            wired.read_u8().await.unwrap_err();
        });
        let mut next = [0; 4];
        for _ in 0..80 {
            // So slowly that the system's buffers are full, and the last message too is taken in parts.
            tokio::time::sleep(Duration::from_millis(2)).await;
            let length = timeout(PATIENCE, peer.read_u32()).await.expect("a message in time").unwrap();
            let mut bytes = vec![0; length as usize];
            timeout(PATIENCE, peer.read_exact(&mut bytes)).await.expect("the rest of it in time").unwrap();
            let (of, number) = (bytes[0], bytes[1]);
            assert_eq!(number, next[usize::from(of)], "those of one come in order");
            next[usize::from(of)] += 1;
            assert!(bytes.chunks(2).all(|two| two == [of, number]), "a message is whole");
        }
        drop(peer);
        while let Some(ended) = offerers.join_next().await {
            ended.unwrap();
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_takes_nothing_is_given_up() {
        let (wired, peer) = pair(Duration::from_millis(100)).await;
        let wire = wired.wire();
        assert_eq!(wire.offer(b"x", || true), Offered::Over, "not before the connection carries messages");
        wire.begin_messages();
        assert_eq!(wire.offer(b"x", || false), Offered::Over, "nobody wants it");
        let offering = async {
            while wire.offer(&[0; 100_000], || true) != Offered::Over {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, offering).await.expect("offers end");
        timeout(PATIENCE, wire.given_up()).await.expect("the connection's task is told");
        assert_eq!(wire.push_rest(), Offered::Over);
        drop(peer);
    }

    #[tokio::test]
    async fn nothing_comes_behind_a_goodbye() {
        let (mut wired, mut peer) = pair(PATIENCE).await;
        wired.wire().begin_messages();
        assert_eq!(wired.wire().offer(b"frame", || true), Offered::Taken);
        wired.wire().end_offers();
        assert_eq!(wired.wire().offer(b"frame", || true), Offered::Over);
        wired.write_all(b"goodbye").await.unwrap();
        wired.shutdown().await.unwrap();
        let mut all = String::new();
        timeout(PATIENCE, peer.read_to_string(&mut all)).await.expect("it ends").unwrap();
        assert_eq!(all, "framegoodbye");
    }
}
