//! Mails: what a buyer is told, once each, however often whoever writes them dies.

mod house;
mod world;

use futures::{StreamExt, stream};
use house::{
    House, Plan,
    faults::{Faults, When},
    hall_with,
    post::{MailServer, Mails, header},
};
use tickiz_command_api::{
    stores::{Database, INBOX, StoreAt},
    workers::mails::sink::{DeadLetter, DeadLetters, Smtp},
};
use tickiz_contract::{BookingAnswer, EventAnswer};
use tickiz_contract::{
    Commands, Request,
    request::{PostponeEvent, ReissueTickets},
};
use tickiz_domain::booking::{BookingDomainEvent, BookingStatus};
use tickiz_event_log::runtime::Clock;
use world::{Order, hall, in_hours, organizer};

/// A booking of that seat, paid.
async fn confirm(house: &House, show: &EventAnswer, email: &str, seat: &str) -> BookingAnswer {
    let booking = house.place(Order::of(show.id, email, "k").seats(&[seat])).await;
    let (_, page) = house.pay(&booking, "p").await;
    house.press(&page, "pay").await;
    house.status(booking.id, BookingStatus::Confirmed).await;
    booking
}

async fn postpone(house: &House, show: &EventAnswer, starts_at: Option<String>) {
    let request = PostponeEvent { id: show.id.to_string(), starts_at, ends_at: None, reason: "storm".to_owned() };
    house.service.execute(organizer(), Request::PostponeEvent(request)).await.expect("it is moved");
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
async fn tickets_that_were_issued_anew_come_in_a_mail_that_says_so() {
    let house = House::working(Plan::default()).await;
    let mails = Mails::new().await;
    let (stop, running) = mails.run(&house, &mails.checkpoints, 1).await;
    let show = house.world.show(hall(2, 4)).await;
    let booking = confirm(&house, &show, "lan@example.com", "A-1").await;
    house.soon("the first mail", async || (mails.files().len() == 1).then_some(())).await;
    let first = mails.files()[0].clone();
    let request = ReissueTickets {
        booking_id: booking.id.to_string(),
        ticket_ids: None,
        reason: None,
        access_token: None,
        idempotency_key: "anew".to_owned(),
    };
    house.service.execute(organizer(), Request::ReissueTickets(request)).await.expect("they are issued anew");
    house.soon("the second mail", async || (mails.files().len() == 2).then_some(())).await;
    let second = mails.files().into_iter().find(|name| *name != first).expect("another mail");
    let ((old_head, old), (new_head, new)) = (mails.read(&first), mails.read(&second));
    assert_ne!(header(&old_head, "Subject"), header(&new_head, "Subject"));
    assert!(new.contains("Mã cũ của những vé này không còn dùng được") && !new.contains("đã được xác nhận"), "{new}");
    assert!(old.contains("đã được xác nhận"), "{old}");
    let code = |text: &str| text.lines().find(|line| line.starts_with("TKZ1:")).expect("a code").to_owned();
    let revision = |code: String| mails.keys.verifier().verify(&code).expect("a good signature").payload.rev;
    assert_eq!((revision(code(&old)), revision(code(&new))), (0, 1));
    stop.cancel();
    running.await.expect("it ends");
    house.end().await;
}

#[tokio::test]
async fn nobody_writes_to_a_person_who_was_erased() {
    let house = House::working(Plan::default()).await;
    let mails = Mails::new().await;
    let show = house.world.show(hall(2, 4)).await;
    let confirm = async |email: &str, seat: &str| confirm(&house, &show, email, seat).await;
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
    let confirm = async |email: &str, seat: &str| confirm(&house, &show, email, seat).await;
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
    // What is refused for good is kept, with whom it was for and why; corrected, it is taken, and kept no longer.
    let dead = DeadLetters::open(&mails.folder.path().join("undeliverable")).await.expect("a folder");
    let kept = dead.list().await.expect("it reads");
    let [letter] = kept.as_slice() else { panic!("one, not {kept:?}") };
    assert_eq!((letter.to.as_str(), letter.reason.as_str()), ("nobody@example.com", "the mail server answers 550"));
    let smtp = Smtp::at(&server.url()).expect("an address");
    assert!(dead.send_again(letter, &smtp).await.is_err(), "still nobody");
    assert_eq!(dead.list().await.expect("it reads"), kept);
    let corrected = DeadLetter { to: "somebody@example.com".to_owned(), ..letter.clone() };
    dead.send_again(&corrected, &smtp).await.expect("it is taken");
    assert_eq!((dead.list().await.expect("it reads"), server.taken().len()), (Vec::new(), 3));
    house.end().await;
}

#[tokio::test]
async fn who_gets_money_back_or_loses_his_show_is_told() {
    let house = House::working(Plan::default()).await;
    let mails = Mails::new().await;
    let show = house.world.show(hall(2, 4)).await;
    let confirm = async |email: &str, seat: &str| confirm(&house, &show, email, seat).await;
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

#[tokio::test]
async fn everybody_with_tickets_learns_of_a_new_date_and_nobody_else() {
    let house = House::working(Plan::default()).await;
    let mails = Mails::new().await;
    let show = house.world.show(hall_with(2, 8, 3_600)).await;
    let mut told = Vec::new();
    for number in 1..=4 {
        told.push(
            confirm(&house, &show, &format!("b{number}@example.com"), &format!("A-{number}")).await.id.to_string(),
        );
    }
    house.place(Order::of(show.id, "held@example.com", "k").seats(&["A-5"])).await;
    // The date is open, and then there is a new one; who comes afterwards knows it.
    postpone(&house, &show, None).await;
    let open = house.world.log.head().await.expect("the log");
    postpone(&house, &show, Some(in_hours(24 * 9))).await;
    let moved = house.world.log.head().await.expect("the log");
    confirm(&house, &show, "later@example.com", "B-1").await;

    let (stop, running) = mails.run(&house, &mails.checkpoints, 1).await;
    house.soon("tickets and a new date", async || (mails.files().len() >= 9).then_some(())).await;
    // A word that is not true any more is not sent: nobody learns that the date is open who has a new one.
    let of = |position: i64| -> Vec<String> {
        let ending = format!("-{position}.eml");
        mails.files().iter().filter_map(|name| name.strip_suffix(&ending).map(str::to_owned)).collect()
    };
    told.sort();
    assert_eq!((of(open).len(), of(moved)), (0, told.clone()));
    let (headers, text) = mails.read(&format!("{}-{moved}.eml", told[0]));
    assert!(text.contains("Đêm nhạc Trịnh") && !text.contains("TKZ1:"), "{text}");
    assert!(header(&headers, "To").contains("@example.com"));
    stop.cancel();
    running.await.expect("it ends");

    // And from the start, as if every checkpoint were lost: the same mails, and no others.
    let lost = Database::open(&StoreAt::Memory).await.expect("a store in memory");
    lost.migrate(&INBOX).await.expect("its tables");
    let (stop, running) = mails.run(&house, &lost, 2).await;
    postpone(&house, &show, None).await;
    let open = house.world.log.head().await.expect("the log");
    house.soon("that the date is open", async || (of(open).len() == 5).then_some(())).await;
    assert_eq!(mails.files().len(), 14);
    stop.cancel();
    running.await.expect("it ends");
    house.end().await;
}

#[tokio::test]
async fn an_announcement_goes_on_behind_the_last_one_who_was_told_when_its_writer_dies() {
    let house = House::working(Plan::default()).await;
    let mut mails = Mails::new().await;
    let server = MailServer::start().await;
    mails.server = Some(server.clone());
    let show = house.world.show(hall(2, 8)).await;
    for number in 1..=5 {
        confirm(&house, &show, &format!("b{number}@example.com"), &format!("A-{number}")).await;
    }
    let (stop, running) = mails.run(&house, &mails.checkpoints, 1).await;
    house.until("the tickets", async || (server.taken().len() == 5).then_some(())).await;
    // Two are told; the third's mail is not taken now, and the writer dies.
    server.answers(&["250 taken", "250 taken", "451 later", "451 later", "451 later"]);
    postpone(&house, &show, Some(in_hours(24 * 9))).await;
    house.until("two of five", async || (server.taken().len() == 7 && server.left() < 3).then_some(())).await;
    running.abort();
    let _ = running.await;
    drop(stop);
    server.forget_answers();
    // Its lease has to run out before another may.
    house.advance(60);
    let (stop, running) = mails.run(&house, &mails.checkpoints, 2).await;
    house.until("the other three", async || (server.taken().len() >= 10).then_some(())).await;
    let mut ids: Vec<String> = server.taken()[5..]
        .iter()
        .filter_map(|mail| mail.lines().find_map(|line| line.strip_prefix("Message-ID: ")).map(str::to_owned))
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!((ids.len(), server.taken().len()), (5, 10), "each once");
    stop.cancel();
    running.await.expect("it ends");
    house.end().await;
}

#[tokio::test]
async fn a_day_before_the_show_everybody_with_tickets_is_reminded_once_with_his_codes() {
    let house = House::working(Plan::default()).await;
    let mails = Mails::new().await;
    // It begins in two days.
    let show = house.world.show(hall_with(2, 8, 3_600)).await;
    let booking = confirm(&house, &show, "lan@example.com", "A-1").await;
    let (stop, running) = mails.run(&house, &mails.checkpoints, 1).await;
    house.soon("the tickets", async || (mails.files().len() == 1).then_some(())).await;
    let starts_in = show.show.starts_at.instant - house.world.clock.now();
    house.advance(starts_in.num_seconds() - 24 * 60 * 60 + 1);
    house.soon("the reminder", async || (mails.files().len() == 2).then_some(())).await;
    let reminder = format!("{}-{}.eml", booking.id, house.position_of("EventRemindersDue").await);
    let (_, text) = mails.read(&reminder);
    assert_eq!(text.lines().filter(|line| line.starts_with("TKZ1:")).count(), 1, "{text}");
    house.advance(60 * 60);
    assert_eq!(house.count("EventRemindersDue").await, 1);
    stop.cancel();
    running.await.expect("it ends");
    house.end().await;
}

/// A booking that is confirmed and one more, a show that moves, and a show that is called off: eight mails, with one call of the
/// writers failing.
async fn eight_mails(faults: Faults) {
    let house = House::working(Plan::default()).await;
    let mails = Mails { faults: Some(faults), ..Mails::new().await };
    let show = house.world.show(hall(2, 4)).await;
    confirm(&house, &show, "lan@example.com", "A-1").await;
    confirm(&house, &show, "minh@example.com", "A-2").await;
    postpone(&house, &show, Some(in_hours(24 * 30))).await;
    let (stop, running) = mails.run(&house, &mails.checkpoints, 1).await;
    house.soon("tickets and the new date", async || (mails.files().len() == 4).then_some(())).await;
    let cancel = Request::CancelEvent { id: show.id.to_string(), reason: "flood".to_owned() };
    house.service.execute(organizer(), cancel).await.expect("it is cancelled");
    let all = async || (mails.files().len() == 8).then_some(());
    house.until("that it will not be, and the money", all).await;
    stop.cancel();
    running.await.expect("it ends");
    // Another process, to which every checkpoint is lost, writes none of them anew.
    let before = mails.files();
    let lost = Database::open(&StoreAt::Memory).await.expect("a store in memory");
    lost.migrate(&INBOX).await.expect("its tables");
    let (stop, running) = mails.run(&house, &lost, 2).await;
    let head = house.world.log.head().await.expect("the log answers");
    house.soon("the end of the log", async || (reached(&lost).await >= head).then_some(())).await;
    stop.cancel();
    running.await.expect("it ends");
    assert_eq!(mails.files(), before);
    house.end().await;
}

/// How far both writers of mails have come, by their checkpoints.
async fn reached(database: &Database) -> i64 {
    let Database::Sqlite(pool) = database else { panic!("a test's checkpoints are in memory") };
    let least = "SELECT CASE WHEN COUNT(*) = 2 THEN MIN(position) ELSE 0 END FROM consumers";
    sqlx::query_scalar(least).fetch_one(pool).await.expect("its table")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_step_of_a_mail_may_fail_once_before_or_after_it_took_effect() {
    let quiet = Faults::none();
    eight_mails(quiet.clone()).await;
    let calls = quiet.calls();
    for name in ["booking", "show", "buyer", "deliver"] {
        assert!(calls.contains(&name), "no {name} in {calls:?}");
    }
    let runs = (0..calls.len()).flat_map(|number| [(number, When::Before), (number, When::After)]);
    stream::iter(runs)
        .for_each_concurrent(16, |(number, when)| async move {
            let faults = Faults::at(number, when);
            eight_mails(faults.clone()).await;
            assert!(faults.hit(), "{number} {when:?}: {:?}", faults.calls());
        })
        .await;
}
