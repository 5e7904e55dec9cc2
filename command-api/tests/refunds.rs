//! What goes back of a booking that goes on: of many at once never more than was paid, and what is free again can be sold.

mod world;

use std::{collections::BTreeSet, sync::Arc};

use futures::future::join_all;
use tickiz_contract::{BookingAnswer, CallContext, Commands, ErrorCode, Refusals, Request, request};
use tickiz_domain::{
    booking::{BookingStatus, PaymentMethod},
    ids::{BookingId, TicketId},
};
use world::{Order, STORES, Store, World, anybody, booking, code, hall, organizer};

/// A booking of the seats A-5, 900,000 dong, and B-1, 450,000, paid.
async fn paid(world: &World) -> BookingAnswer {
    let show = world.show(hall(3, 10)).await;
    let order = Order::of(show.id, "lan@example.com", "k").seats(&["A-5", "B-1"]);
    let placed = world.place(order).await.expect("the seats are free");
    let attempt = world.pay(&placed, PaymentMethod::Sandbox, "p").await.expect("it can be paid");
    let confirmed = world.succeed(placed.id, attempt.payment_id).await;
    assert_eq!(confirmed.status, BookingStatus::Confirmed);
    placed
}

fn asked(id: BookingId, key: &str) -> request::RefundBooking {
    request::RefundBooking {
        booking_id: id.to_string(),
        ticket_ids: None,
        amount: None,
        reason: Some("the pillar".to_owned()),
        idempotency_key: key.to_owned(),
    }
}

fn sum(id: BookingId, amount: &str, key: &str) -> request::RefundBooking {
    let amount = request::MoneyInput { amount: amount.to_owned(), currency: "VND".to_owned() };
    request::RefundBooking { amount: Some(amount), ..asked(id, key) }
}

fn tickets(id: BookingId, tickets: &[TicketId], key: &str) -> request::RefundBooking {
    request::RefundBooking { ticket_ids: Some(tickets.iter().map(ToString::to_string).collect()), ..asked(id, key) }
}

async fn refund(
    world: &World,
    context: CallContext,
    request: request::RefundBooking,
) -> Result<BookingAnswer, Refusals> {
    booking(world.service.execute(context, Request::RefundBooking(request)).await)
}

#[tokio::test]
async fn a_ticket_that_went_back_can_be_sold_anew_and_its_price_is_on_its_way() {
    for store in STORES {
        let world = World::new(store).await;
        let placed = paid(&world).await;
        let of: Vec<TicketId> = placed.purchase.lines.iter().map(|line| line.ticket_id).collect();
        let first = tickets(placed.id, &of[..1], "r");
        let after = refund(&world, organizer(), first.clone()).await.expect("it goes back").purchase;
        assert_eq!((after.status, after.refunds[0].amount), (BookingStatus::Confirmed, placed.purchase.lines[0].price));
        assert_eq!(after.valid_tickets().map(|ticket| ticket.ticket_id).collect::<Vec<_>>(), [of[1]]);
        let again = refund(&world, organizer(), first).await.expect("answered as before");
        assert_eq!(again.purchase, after, "and nothing more goes back");
        let other_key = tickets(placed.id, &of[..1], "r2");
        assert_eq!(code(refund(&world, organizer(), other_key).await), ErrorCode::Conflict);

        let show = placed.purchase.event_id;
        let taken = world.check_conservation(show).await;
        assert_eq!(taken.seats.len(), 1);
        let next = Order::of(show, "len@example.com", "k").seats(&["A-5"]);
        world.place(next).await.expect("the seat is free again");

        let last =
            refund(&world, organizer(), tickets(placed.id, &of[1..], "r3")).await.expect("the last one").purchase;
        assert_eq!((last.status, last.refunds.len()), (BookingStatus::Cancelled, 2));
        assert_eq!(last.refunds.iter().map(|refund| refund.amount.minor()).sum::<i64>(), last.total.minor());
        assert_eq!(world.check_conservation(show).await.seats.len(), 1, "of the next buyer alone");
        world.end().await;
    }
}

#[tokio::test]
async fn the_organiser_alone_gives_money_back_and_in_the_booking_s_currency() {
    let world = World::new(Store::Memory).await;
    let placed = paid(&world).await;
    assert_eq!(code(refund(&world, anybody(), sum(placed.id, "1000", "r")).await), ErrorCode::Unauthenticated);
    let mut dollars = sum(placed.id, "10.00", "r");
    dollars.amount.as_mut().expect("an amount").currency = "USD".to_owned();
    let refused = refund(&world, organizer(), dollars).await.expect_err("another currency");
    let path = vec!["input".into(), "amount".into(), "currency".into()];
    assert_eq!((refused.0[0].code, refused.0[0].path.clone()), (ErrorCode::InvalidInput, Some(path)));
    let refused = refund(&world, organizer(), sum(placed.id, "1350001", "r")).await.expect_err("too much");
    assert!(refused.0[0].message.contains("1350000"), "{}", refused.0[0].message);
    assert_eq!(refused.0[0].code, ErrorCode::Conflict);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_refunds_at_once_never_more_goes_back_than_was_paid() {
    for store in STORES {
        let world = Arc::new(World::new(store).await);
        let placed = paid(&world).await;
        let processes = [world.service.clone(), world.other_process().await];
        // Thirteen of them are 1,300,000 of 1,350,000 dong; each is sent twice.
        let tasks = (0..40).map(|n| {
            let service = processes[n % 2].clone();
            let request = Request::RefundBooking(sum(placed.id, "100000", &format!("r{}", n / 2)));
            tokio::spawn(async move { booking(service.execute(organizer(), request).await) })
        });
        let results: Vec<_> = join_all(tasks).await.into_iter().map(|task| task.expect("no panic")).collect();
        let refused: BTreeSet<_> = results
            .iter()
            .filter_map(|result| result.as_ref().err())
            .map(|refusals| refusals.0[0].code.as_str())
            .collect();
        assert_eq!(refused, BTreeSet::from(["CONFLICT"]));
        let after = world.purchase(placed.id).await;
        assert_eq!((after.status, after.refunds.len()), (BookingStatus::Confirmed, 13));
        assert_eq!(after.refundable_minor(&after.payments[0]), 50_000);
        let ids: BTreeSet<_> = after.refunds.iter().map(|refund| refund.id).collect();
        assert_eq!(ids.len(), 13, "each has an idempotency key of its own at the gateway");
        Arc::into_inner(world).expect("every task has ended").end().await;
    }
}
