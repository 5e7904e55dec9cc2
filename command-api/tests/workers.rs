//! What happens without anybody asking: many holds that end at once, a cancelled show, mails.

mod house;
mod world;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures::{StreamExt, stream};
use house::{House, LogList, Plan, hall_with};
use tickiz_command_api::{
    stores::{Database, INBOX, StoreAt},
    workers::{
        cancellation::{BookingList, ListError},
        checkpoint::Checkpoint,
        mails::{
            CONSUMER, LEASE, MailWorker,
            message::Mailbox,
            sink::{Folder, Smtp},
            writing::Writer,
        },
    },
};
use tickiz_contract::{Commands, Request};
use tickiz_documents::Templates;
use tickiz_domain::{
    booking::{BookingDomainEvent, BookingStatus},
    event::EventStatus,
    ids::{BookingId, EventId},
    timer::TimerKind,
};
use tickiz_event_log::Position;
use tickiz_tickets::{KeyRing, TicketSigner};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use world::{Order, Store, general_admission, hall, organizer, type_id};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_holds_that_end_at_once_all_end_and_each_once() {
    const BOOKINGS: usize = 1_500;
    for store in [Store::Memory, Store::Sqlite] {
        // In a file the store's own clock counts, and a hold ends by itself.
        let hold_seconds = if store == Store::Memory { 60 } else { 3 };
        let mut house = House::new(Plan { store, ..Plan::default() }).await;
        let mut request = general_admission(10_000);
        request["holdSeconds"] = hold_seconds.into();
        let show = house.world.show(request).await;
        let standing = type_id(&show.show, "Standing");
        let bookings: Vec<BookingId> = stream::iter(0..BOOKINGS)
            .map(|number| {
                let order = Order::of(show.id, &format!("b{number}@example.com"), "k").tickets(&standing, 1);
                let house = &house;
                async move { house.place(order).await.id }
            })
            .buffer_unordered(200)
            .collect()
            .await;
        house.advance(hold_seconds + 1);
        house.work();
        house.soon("the end of all", async || (house.count("BookingExpired").await == BOOKINGS).then_some(())).await;
        for id in bookings {
            assert_eq!(house.purchase(id).await.status, BookingStatus::Expired);
        }
        let taken = house.world.check_conservation(show.id).await;
        assert!(taken.quotas.values().all(|places| *places == 0));
        house
            .soon("the end of all timers", async || {
                let left = house.world.log.lease_timers(&[TimerKind::HoldEnds], std::time::Duration::ZERO, 10).await;
                left.expect("the log answers").is_empty().then_some(())
            })
            .await;
        assert_eq!(house.count("BookingExpired").await, BOOKINGS);
        house.end().await;
    }
}

#[tokio::test]
async fn a_show_that_is_over_is_completed_and_a_moved_one_is_not() {
    let house = House::working(Plan::default()).await;
    let over = house.world.show(general_admission(10)).await;
    let moved = house.world.show(general_admission(10)).await;
    let postpone = Request::PostponeEvent(tickiz_contract::request::PostponeEvent {
        id: moved.id.to_string(),
        starts_at: Some(world::in_hours(24 * 30)),
        ends_at: None,
        reason: "rain".to_owned(),
    });
    house.service.execute(organizer(), postpone).await.expect("it is moved");
    house.advance(60 * 60 * (48 + 6) + 60);
    house.soon("its end", async || (house.count("EventCompleted").await == 1).then_some(())).await;
    let status = async |id| {
        let loaded =
            house.world.system.event(id, tickiz_command_api::executor::Reading::Fresh).await.expect("it loads");
        loaded.aggregate.0.as_ref().expect("a show").status
    };
    assert_eq!((status(over.id).await, status(moved.id).await), (EventStatus::Completed, EventStatus::Published));
    house.end().await;
}

/// A list that is behind at first.
struct SlowList(LogList, AtomicUsize);

#[async_trait::async_trait]
impl BookingList for SlowList {
    async fn bookings_of(
        &self,
        event: EventId,
        at_least: Position,
        after: Option<BookingId>,
        limit: usize,
    ) -> Result<Option<Vec<BookingId>>, ListError> {
        match self.1.fetch_add(1, Ordering::SeqCst) {
            0 | 1 => Ok(None),
            2 => Err(ListError("on order".to_owned())),
            _ => self.0.bookings_of(event, at_least, after, limit.min(20)).await,
        }
    }
}

#[tokio::test]
async fn a_cancelled_show_ends_every_booking_once_its_list_is_there_and_gives_all_money_back() {
    let mut house = House::new(Plan::default()).await;
    house.work_with(Arc::new(SlowList(LogList(house.world.log.clone()), AtomicUsize::new(0))));
    let show = house.world.show(hall(10, 10)).await;
    let mut bookings = Vec::new();
    for row in ["A", "B", "C", "D", "E", "F"] {
        for seat in 1..=10 {
            let seat = format!("{row}-{seat}");
            bookings.push(house.place(Order::of(show.id, &format!("{seat}@example.com"), "k").seats(&[&seat])).await);
        }
    }
    let mut paid = Vec::new();
    for booking in bookings.iter().take(5) {
        let (_, page) = house.pay(booking, "p").await;
        house.press(&page, "pay").await;
        house.status(booking.id, BookingStatus::Confirmed).await;
        paid.push(booking.id);
    }
    // One is at the gateway when the show is called off, and pays all the same.
    let (_, page) = house.pay(&bookings[5], "p").await;
    house.press(&page, "pay-late").await;
    let cancel = Request::CancelEvent { id: show.id.to_string(), reason: "flood".to_owned() };
    house.service.execute(organizer(), cancel).await.expect("it is cancelled");
    for booking in &bookings {
        let expected = if paid.contains(&booking.id) { BookingStatus::Refunded } else { BookingStatus::Cancelled };
        house.status(booking.id, expected).await;
    }
    house
        .until("the last money is back", async || {
            let ledger = house.ledger().await;
            let back = ledger
                .iter()
                .filter(|entry| entry.charged_minor > 0 && entry.charged_minor == entry.returned_minor)
                .count();
            (back == 6 && house.count("RefundSucceeded").await == 6).then_some(())
        })
        .await;
    for booking in &bookings {
        house.check_money(booking.id).await;
    }
    assert!(house.world.check_conservation(show.id).await.seats.is_empty());
    house.end().await;
}

/// A mail server of the test's own, that takes mails into memory and says what it is told to.
#[derive(Clone)]
struct MailServer {
    address: std::net::SocketAddr,
    taken: Arc<parking_lot::Mutex<Vec<String>>>,
    /// What the next mails are answered; an empty one hangs up. Afterwards they are taken.
    answers: Arc<parking_lot::Mutex<std::collections::VecDeque<String>>>,
}

impl MailServer {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let server = Self { address, taken: Arc::default(), answers: Arc::default() };
        let accepting = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = accepting.clone();
                tokio::spawn(async move { server.talk(stream).await });
            }
        });
        server
    }

    fn url(&self) -> String {
        format!("smtp://user:p%40ss@{}", self.address)
    }

    fn answers(&self, answers: &[&str]) {
        self.answers.lock().extend(answers.iter().map(|answer| (*answer).to_owned()));
    }

    fn taken(&self) -> Vec<String> {
        self.taken.lock().clone()
    }

    async fn talk(&self, stream: tokio::net::TcpStream) -> Option<()> {
        use tokio::io::{AsyncBufReadExt, AsyncWriteExt};
        let (reader, mut writer) = stream.into_split();
        let mut lines = tokio::io::BufReader::new(reader).lines();
        writer.write_all(b"220 test ESMTP\r\n").await.ok()?;
        loop {
            let line = lines.next_line().await.ok()??;
            let answer = match line.split(' ').next().unwrap_or_default() {
                "EHLO" => "250-test\r\n250 AUTH PLAIN".to_owned(),
                "AUTH" => {
                    // "\0user\0p@ss"
                    assert_eq!(line, "AUTH PLAIN AHVzZXIAcEBzcw==");
                    "235 welcome".to_owned()
                }
                "RCPT" if line.contains("nobody@") => "550 nobody of that name".to_owned(),
                "DATA" => {
                    writer.write_all(b"354 go on\r\n").await.ok()?;
                    let mut mail = String::new();
                    loop {
                        let line = lines.next_line().await.ok()??;
                        if line == "." {
                            break;
                        }
                        mail.push_str(line.strip_prefix('.').unwrap_or(&line));
                        mail.push_str("\r\n");
                    }
                    let answer = self.answers.lock().pop_front().unwrap_or_else(|| "250 taken".to_owned());
                    if answer.is_empty() {
                        return None;
                    }
                    if answer.starts_with("250") {
                        self.taken.lock().push(mail);
                    }
                    answer
                }
                "QUIT" => return None,
                _ => "250 OK".to_owned(),
            };
            writer.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
        }
    }
}

struct Mails {
    folder: tempfile::TempDir,
    keys: Arc<KeyRing>,
    checkpoints: Database,
    /// Mails go there instead of into the folder.
    server: Option<MailServer>,
}

impl Mails {
    async fn new() -> Self {
        let mut keys = KeyRing::default();
        keys.add(TicketSigner::from_seed(1, &[7; 32])).expect("the first key");
        let checkpoints = Database::open(&StoreAt::Memory).await.expect("a store in memory");
        checkpoints.migrate(&INBOX).await.expect("its tables");
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            keys: Arc::new(keys),
            checkpoints,
            server: None,
        }
    }

    /// A process that writes mails, until it is told to stop.
    async fn run(
        &self,
        house: &House,
        checkpoints: &Database,
        process: u128,
    ) -> (CancellationToken, tokio::task::JoinHandle<()>) {
        let clock = Arc::new(house.world.clock.clone());
        let worker = MailWorker {
            log: house.world.log.clone(),
            bookings: house.bookings.clone(),
            checkpoint: Checkpoint::new(checkpoints.clone(), clock, CONSUMER, Uuid::from_u128(process), LEASE),
            sink: match &self.server {
                Some(server) => Arc::new(Smtp::at(&server.url()).expect("an address")),
                None => Arc::new(Folder::open(self.folder.path()).await.expect("a folder")),
            },
            undeliverable: Folder::open(&self.folder.path().join("undeliverable")).await.expect("a folder"),
            keys: self.keys.clone(),
            writer: Writer {
                templates: Arc::new(Templates::built_in().expect("they are tried at build")),
                from: Mailbox { name: "Tickiz".to_owned(), address: "tickets@tickiz.example".to_owned() },
            },
            tokens: house.world.system.keys().clone(),
            public_url: "https://tickiz.example".to_owned(),
        };
        let stop = CancellationToken::new();
        (stop.clone(), tokio::spawn(worker.run(stop)))
    }

    fn files(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.folder.path())
            .expect("it reads")
            .map(|entry| entry.expect("it reads").file_name().into_string().expect("a name of ours"));
        let mut names: Vec<String> =
            names.filter(|name| Path::new(name).extension().is_some_and(|of| of == "eml")).collect();
        names.sort();
        names
    }

    /// A mail's headers, unfolded, and its plain text.
    fn read(&self, name: &str) -> (Vec<String>, String) {
        let bytes = std::fs::read_to_string(self.folder.path().join(name)).expect("a mail is ASCII");
        let (head, parts) = bytes.split_once("\r\n\r\n").expect("headers and parts");
        let headers = head.replace("\r\n ", " ").split("\r\n").map(str::to_owned).collect();
        let (_, part) = parts.split_once("Content-Type: text/plain").expect("a plain text");
        let (_, body) = part.split_once("\r\n\r\n").expect("a part has headers");
        let (body, _) = body.split_once("\r\n--=_").expect("a part ends");
        let mut text = Vec::new();
        let mut rest = body.replace("=\r\n", "").replace("\r\n", "\n");
        while let Some(at) = rest.find('=') {
            text.extend_from_slice(&rest.as_bytes()[..at]);
            text.push(u8::from_str_radix(&rest[at + 1..at + 3], 16).expect("quoted-printable"));
            rest = rest[at + 3..].to_owned();
        }
        text.extend_from_slice(rest.as_bytes());
        (headers, String::from_utf8(text).expect("UTF-8"))
    }
}

fn header<'a>(headers: &'a [String], name: &str) -> &'a str {
    let prefix = format!("{name}: ");
    let mut found = headers.iter().filter_map(|header| header.strip_prefix(&prefix));
    let value = found.next().unwrap_or_else(|| panic!("no {name} in {headers:#?}"));
    assert_eq!(found.next(), None, "{name} stands once");
    value
}

#[tokio::test]
async fn a_confirmed_booking_gets_one_mail_with_its_codes_however_often_it_is_written() {
    let house = House::working(Plan::default()).await;
    let mails = Mails::new().await;
    let (stop, running) = mails.run(&house, &mails.checkpoints, 1).await;
    let show = house.world.show(hall_with(2, 4, 60)).await;
    let booking = house.place(Order::of(show.id, "lan@example.com", "k").seats(&["A-1", "B-2"])).await;
    let (_, page) = house.pay(&booking, "p").await;
    house.press(&page, "pay").await;
    house.status(booking.id, BookingStatus::Confirmed).await;
    house.soon("the mail", async || (mails.files().len() == 1).then_some(())).await;

    let name = mails.files()[0].clone();
    assert!(name.starts_with(&booking.id.to_string()), "{name}");
    let (headers, text) = mails.read(&name);
    assert!(header(&headers, "Subject").starts_with("=?utf-8?"), "{headers:?}");
    assert_eq!(header(&headers, "To"), "Lan <lan@example.com>");
    assert_eq!(header(&headers, "From"), "Tickiz <tickets@tickiz.example>");
    assert_eq!(header(&headers, "MIME-Version"), "1.0");
    assert_eq!(header(&headers, "Auto-Submitted"), "auto-generated");
    assert!(header(&headers, "Content-Type").starts_with("multipart/mixed"), "{headers:?}");
    assert!(header(&headers, "Message-ID").ends_with("@tickiz.example>"));
    let codes: Vec<&str> = text.lines().filter(|line| line.starts_with("TKZ1:")).collect();
    assert_eq!(codes.len(), 2);
    let verifier = mails.keys.verifier();
    for code in codes {
        verifier.verify(code).expect("a good signature");
    }
    assert!(text.contains(&booking.purchase.code) && text.contains("Floor, A, 1") && text.contains("GMT+7"), "{text}");
    assert!(text.contains("Đêm nhạc Trịnh") && text.contains("https://tickiz.example/tickets/"), "{text}");
    let whole = std::fs::read_to_string(mails.folder.path().join(&name)).expect("the mail");
    for part in ["text/html; charset=utf-8", "Content-ID: <ticket-2@tickiz>", "JVBERi0", "filename=\"event.ics\""] {
        assert!(whole.contains(part), "no {part}");
    }

    // It stops, and another process begins from the start, as if every checkpoint were lost.
    stop.cancel();
    running.await.expect("it ends");
    let before = std::fs::read(mails.folder.path().join(&name)).expect("the mail");
    let lost = Database::open(&StoreAt::Memory).await.expect("a store in memory");
    lost.migrate(&INBOX).await.expect("its tables");
    let (stop, running) = mails.run(&house, &lost, 2).await;
    let second = house.place(Order::of(show.id, "minh@example.com", "k").seats(&["A-2"])).await;
    let (_, page) = house.pay(&second, "p").await;
    house.press(&page, "pay-late").await;
    house.status(second.id, BookingStatus::Confirmed).await;
    house.until("the second mail", async || (mails.files().len() == 2).then_some(())).await;
    assert_eq!(std::fs::read(mails.folder.path().join(&name)).expect("the mail"), before);
    assert_eq!(house.count("BookingReinstated").await, 1, "a booking that came back gets its mail too");
    stop.cancel();
    running.await.expect("it ends");
    house.end().await;
}

#[tokio::test]
async fn nobody_writes_to_a_person_who_was_erased() {
    let house = House::working(Plan::default()).await;
    let mails = Mails::new().await;
    let show = house.world.show(hall(2, 4)).await;
    let confirm = async |email: &str, seat: &str| {
        let booking = house.place(Order::of(show.id, email, "k").seats(&[seat])).await;
        let (_, page) = house.pay(&booking, "p").await;
        house.press(&page, "pay").await;
        house.status(booking.id, BookingStatus::Confirmed).await;
        booking
    };
    let erased = confirm("gone@example.com", "A-1").await;
    assert!(house.world.log.erase(erased.purchase.buyer.person_id).await.expect("erased"));
    let kept = confirm("here@example.com", "A-2").await;
    let (stop, running) = mails.run(&house, &mails.checkpoints, 1).await;
    house.soon("the mail", async || (mails.files().len() == 1).then_some(())).await;
    assert!(mails.files()[0].starts_with(&kept.id.to_string()));
    stop.cancel();
    running.await.expect("it ends");
    let confirmed = house
        .world
        .log
        .read(0, 10_000)
        .await
        .expect("the log")
        .iter()
        .filter(|one| one.event_type == "BookingConfirmed" && one.decode::<BookingDomainEvent>().is_ok())
        .count();
    assert_eq!(confirmed, 2);
    house.end().await;
}

#[tokio::test]
async fn a_mail_server_gets_each_mail_once_whatever_it_says_at_first() {
    let house = House::working(Plan::default()).await;
    let mut mails = Mails::new().await;
    let server = MailServer::start().await;
    mails.server = Some(server.clone());
    let show = house.world.show(hall(2, 4)).await;
    let confirm = async |email: &str, seat: &str| {
        let booking = house.place(Order::of(show.id, email, "k").seats(&[seat])).await;
        let (_, page) = house.pay(&booking, "p").await;
        house.press(&page, "pay").await;
        house.status(booking.id, BookingStatus::Confirmed).await;
        booking
    };
    let first = confirm("first@example.com", "A-1").await;
    confirm("nobody@example.com", "A-2").await;
    let third = confirm("third@example.com", "A-3").await;
    // Not now; then it hangs up in the middle; then it takes it. Nobody it never takes.
    server.answers(&["451 later", "", "250 taken"]);
    let (stop, running) = mails.run(&house, &mails.checkpoints, 1).await;
    house.until("two mails", async || (server.taken().len() == 2).then_some(())).await;
    stop.cancel();
    running.await.expect("it ends");
    // Another process goes on, and has nothing to send.
    let (stop, running) = mails.run(&house, &mails.checkpoints, 2).await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    stop.cancel();
    running.await.expect("it ends");
    let taken = server.taken();
    assert_eq!(taken.len(), 2, "each once");
    for (mail, booking) in taken.iter().zip([&first, &third]) {
        let id = mail.lines().find_map(|line| line.strip_prefix("Message-ID: <")).expect("a Message-ID");
        assert!(id.starts_with(&booking.id.to_string()), "{id}");
        assert!(mail.contains("\r\n\r\n") && mail.contains("Auto-Submitted: auto-generated"), "{mail}");
    }
    let kept = std::fs::read_dir(mails.folder.path().join("undeliverable")).expect("a folder").count();
    assert_eq!(kept, 1, "what is refused for good is kept");
    house.end().await;
}

#[tokio::test]
async fn who_gets_money_back_or_loses_his_show_is_told() {
    let house = House::working(Plan::default()).await;
    let mails = Mails::new().await;
    let show = house.world.show(hall(2, 4)).await;
    let confirm = async |email: &str, seat: &str| {
        let booking = house.place(Order::of(show.id, email, "k").seats(&[seat])).await;
        let (_, page) = house.pay(&booking, "p").await;
        house.press(&page, "pay").await;
        house.status(booking.id, BookingStatus::Confirmed).await;
        booking
    };
    let cancelled = confirm("lan@example.com", "A-1").await;
    house.world.cancel(cancelled.id, cancelled.access_token.clone(), "c").await.expect("it can be cancelled");
    house.status(cancelled.id, BookingStatus::Refunded).await;
    let (stop, running) = mails.run(&house, &mails.checkpoints, 1).await;
    house.soon("tickets, and that money went back", async || (mails.files().len() == 2).then_some(())).await;
    let texts: Vec<String> = mails.files().iter().map(|name| mails.read(name).1).collect();
    let refund = texts.iter().find(|text| !text.contains("TKZ1:")).expect("one has no codes");
    assert!(refund.contains(&cancelled.purchase.total.to_string()), "{refund}");
    // A show that will not be: who has paid learns it at once, and then that his money is back.
    let lost = confirm("minh@example.com", "A-2").await;
    let cancel = Request::CancelEvent { id: show.id.to_string(), reason: "flood".to_owned() };
    house.service.execute(organizer(), cancel).await.expect("it can be cancelled");
    house.status(lost.id, BookingStatus::Refunded).await;
    house.soon("three more", async || (mails.files().len() == 5).then_some(())).await;
    stop.cancel();
    running.await.expect("it ends");
    house.end().await;
}
