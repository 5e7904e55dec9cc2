//! Peers who are slow or silent are cut, those who are many are turned away, and at the end everybody is let go. The times are
//! short here; what counts is that each of them ends.

mod house;

use std::time::Duration;

use house::{House, PATIENCE, http::Answer};
use tickiz_query_api::HttpLimits;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

const SHORT: Duration = Duration::from_millis(200);

fn impatient() -> House {
    let http = HttpLimits { head_timeout: SHORT, body_grace: SHORT, write_timeout: SHORT, ..HttpLimits::default() };
    House { http, ..House::default() }
}

/// Reads until the peer closes, while `bytes` are dripped one by one.
async fn drip(stream: TcpStream, bytes: Vec<u8>, pause: Duration) -> Answer {
    let (mut reader, mut writer) = stream.into_split();
    let dripping = tokio::spawn(async move {
        for byte in bytes {
            if writer.write_all(&[byte]).await.is_err() {
                return;
            }
            sleep(pause).await;
        }
        std::future::pending().await
    });
    let mut answer = Vec::new();
    let cut = timeout(PATIENCE, reader.read_to_end(&mut answer)).await.expect("the connection is cut");
    dripping.abort();
    // Cut off with bytes unread is a reset, which is as good.
    let _ = cut;
    Answer::parse(&answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_says_nothing_is_cut() {
    let house = impatient().open().await;
    drip(TcpStream::connect(house.addr).await.unwrap(), Vec::new(), SHORT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_drips_is_cut() {
    let house = impatient().open().await;
    let head = format!("GET / HTTP/1.1\r\nhost: t\r\nx: {}", "y".repeat(10_000));
    let answer =
        drip(TcpStream::connect(house.addr).await.unwrap(), head.into_bytes(), Duration::from_millis(20)).await;
    assert_ne!(answer.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_kept_alive_in_silence_is_cut() {
    let house = impatient().open().await;
    let mut stream = TcpStream::connect(house.addr).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: t\r\n\r\n").await.unwrap();
    let answer = drip(stream, Vec::new(), SHORT).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_drips_is_cut_with_408() {
    let house = impatient().open().await;
    let mut stream = TcpStream::connect(house.addr).await.unwrap();
    stream
        .write_all(
            b"POST /graphql HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n",
        )
        .await
        .unwrap();
    assert_eq!(drip(stream, vec![b' '; 10_000], Duration::from_millis(20)).await.status, 408);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_nothing_of_an_answer_is_cut() {
    let house = impatient().open().await;
    let mut stream = TcpStream::connect(house.addr).await.unwrap();
    let request = b"GET / HTTP/1.1\r\nhost: t\r\n\r\n";
    // Answers pile up until nothing more fits; then the write fails, since the server has gone.
    let piling = async { while stream.write_all(request).await.is_ok() {} };
    timeout(PATIENCE, piling).await.expect("the connection is cut");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_too_many_is_told_so() {
    let http = HttpLimits { max_connections: 2, ..HttpLimits::default() };
    let house = House { http, ..House::default() }.open().await;
    let mut kept = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(house.addr).await.unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: t\r\n\r\n").await.unwrap();
        let mut byte = [0; 1];
        stream.read_exact(&mut byte).await.unwrap();
        kept.push(stream);
    }
    let third = drip(TcpStream::connect(house.addr).await.unwrap(), Vec::new(), SHORT).await;
    assert_eq!(third.status, 503);
    kept.clear();
    let again = async {
        while house.get("/healthz").await.status != 200 {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, again).await.expect("a place becomes free");
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_end_idle_connections_are_closed_and_the_loop_ends() {
    let mut house = House::default().open().await;
    let mut stream = TcpStream::connect(house.addr).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: t\r\n\r\n").await.unwrap();
    let mut byte = [0; 1];
    stream.read_exact(&mut byte).await.unwrap();
    house.shutdown.cancel();
    let ended = async { while house.tasks.join_next().await.is_some() {} };
    timeout(PATIENCE, ended).await.expect("everything ends");
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    assert!(TcpStream::connect(house.addr).await.is_err());
}
