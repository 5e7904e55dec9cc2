//! What can become of a payment at the sandbox gateway. Pure: the books hand in the row and the time.
//!
//! ```text
//!          ┌── pay ─────────────────────────────▶ PAID
//!          ├── pay late ──▶ PROCESSING ── due ──▶ PAID
//!  OPEN ───┼── decline ─────────────────────────▶ DECLINED
//!          ├── cancel (the buyer, the merchant) ▶ CANCELLED
//!          └── its own deadline, or the merchant's cancel after `pay_until` ▶ EXPIRED
//! ```
//!
//! PROCESSING cannot be called back, as at real gateways: the buyer has done what he had to, and the money is on its way.

use std::str::FromStr;

use chrono::{DateTime, Duration, Utc};

/// How long after `pay_until` the page still takes a payment. Real gateways do that too (Stripe's shortest session is half an
/// hour), and it is what late payments come from. A merchant who wants it closed says so.
pub const CLOSES_AFTER_MINUTES: i64 = 30;
/// How long after the hold's end a late payment goes through.
pub const LATE_BY_SECONDS: i64 = 5;

/// Where a payment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The buyer can decide.
    Open,
    /// He pays late; the money comes when it is due.
    Processing,
    /// The gateway has the money.
    Paid,
    /// Declined.
    Declined,
    /// Given up.
    Cancelled,
    /// Its time is over.
    Expired,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Open, Self::Processing, Self::Paid, Self::Declined, Self::Cancelled, Self::Expired];

    /// The name in the books and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "OPEN",
            Self::Processing => "PROCESSING",
            Self::Paid => "PAID",
            Self::Declined => "DECLINED",
            Self::Cancelled => "CANCELLED",
            Self::Expired => "EXPIRED",
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// The webhook that tells of it.
    const fn webhook(self) -> Option<&'static str> {
        match self {
            Self::Open | Self::Processing => None,
            Self::Paid => Some("payment.paid"),
            Self::Declined => Some("payment.declined"),
            Self::Cancelled => Some("payment.cancelled"),
            Self::Expired => Some("payment.expired"),
        }
    }
}

/// A button of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Button {
    /// Pay.
    Pay,
    /// The bank declines.
    Decline,
    /// Go back without paying.
    Cancel,
    /// Pay when the hold has run out.
    PayLate,
}

impl Button {
    /// All of them, as they stand on the page.
    pub const ALL: [Self; 4] = [Self::Pay, Self::Decline, Self::Cancel, Self::PayLate];

    /// The form's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pay => "pay",
            Self::Decline => "decline",
            Self::Cancel => "cancel",
            Self::PayLate => "pay-late",
        }
    }

    const fn leads_to(self) -> State {
        match self {
            Self::Pay => State::Paid,
            Self::Decline => State::Declined,
            Self::Cancel => State::Cancelled,
            Self::PayLate => State::Processing,
        }
    }
}

/// The form's value is no button.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSuchButton;

impl FromStr for Button {
    type Err = NoSuchButton;
    fn from_str(text: &str) -> Result<Self, NoSuchButton> {
        Self::ALL.into_iter().find(|button| button.as_str() == text).ok_or(NoSuchButton)
    }
}

/// What happens to a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// The buyer presses a button.
    Press(Button),
    /// The merchant wants it ended.
    MerchantCancel,
    /// Its due time may have come.
    Due,
}

/// What decides.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// Where it stands.
    pub state: State,
    /// Until when the merchant wants it taken.
    pub pay_until: DateTime<Utc>,
    /// When the merchant's hold runs out.
    pub hold_ends_at: DateTime<Utc>,
    /// When the gateway itself does something.
    pub due_at: Option<DateTime<Utc>>,
}

/// A step of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The new state.
    pub to: State,
    /// When the gateway itself does the next thing; `None` in a final state.
    pub due_at: Option<DateTime<Utc>>,
    /// The webhook to send, if the merchant does not know it from his own call.
    pub webhook: Option<&'static str>,
}

impl Step {
    /// Whether the buyer's money is taken.
    #[must_use]
    pub fn takes_money(&self) -> bool {
        self.to == State::Paid
    }
}

/// What an act comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It moves.
    Moves(Step),
    /// It has happened before; the answer is the same.
    AsBefore,
    /// It is decided otherwise, or not due.
    Stays,
}

/// When the gateway closes a payment by itself.
#[must_use]
pub fn closes_at(pay_until: DateTime<Utc>) -> DateTime<Utc> {
    pay_until + Duration::minutes(CLOSES_AFTER_MINUTES)
}

/// Decides.
#[must_use]
pub fn decide(standing: &Standing, act: Act, now: DateTime<Utc>) -> Decision {
    let due = standing.due_at.is_some_and(|at| at <= now);
    let moves = |to: State, due_at| Decision::Moves(Step { to, due_at, webhook: to.webhook() });
    match (standing.state, act) {
        // Nobody was there to close it in time; it is closed now, whoever knocks.
        (State::Open, _) if due => moves(State::Expired, None),
        (State::Open, Act::Press(Button::PayLate)) => {
            let at = (standing.hold_ends_at + Duration::seconds(LATE_BY_SECONDS)).max(now);
            moves(State::Processing, Some(at))
        }
        (State::Open, Act::Press(button)) => moves(button.leads_to(), None),
        (State::Open, Act::MerchantCancel) => {
            let to = if now >= standing.pay_until { State::Expired } else { State::Cancelled };
            Decision::Moves(Step { to, due_at: None, webhook: None })
        }
        (State::Processing, _) if due => moves(State::Paid, None),
        (State::Paid, Act::Press(Button::PayLate)) => Decision::AsBefore,
        (state, Act::Press(button)) if button.leads_to() == state => Decision::AsBefore,
        (State::Cancelled | State::Expired, Act::MerchantCancel) => Decision::AsBefore,
        _ => Decision::Stays,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap()
    }

    fn standing(state: State, due_at: Option<DateTime<Utc>>) -> Standing {
        Standing { state, pay_until: at(100), hold_ends_at: at(100), due_at }
    }

    fn step(decision: Decision) -> Step {
        match decision {
            Decision::Moves(step) => step,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_button_decides_an_open_payment_once() {
        let open = standing(State::Open, Some(closes_at(at(100))));
        for (button, to, webhook) in [
            (Button::Pay, State::Paid, Some("payment.paid")),
            (Button::Decline, State::Declined, Some("payment.declined")),
            (Button::Cancel, State::Cancelled, Some("payment.cancelled")),
            (Button::PayLate, State::Processing, None),
        ] {
            let step = step(decide(&open, Act::Press(button), at(1)));
            assert_eq!((step.to, step.webhook, step.takes_money()), (to, webhook, to == State::Paid));
            assert_eq!(button.as_str().parse(), Ok(button));
            let decided = standing(to, step.due_at);
            assert_eq!(decide(&decided, Act::Press(button), at(2)), Decision::AsBefore);
            for other in Button::ALL.into_iter().filter(|other| *other != button) {
                let again = decide(&decided, Act::Press(other), at(2));
                let same = (to, other) == (State::Paid, Button::PayLate);
                assert_eq!(again, if same { Decision::AsBefore } else { Decision::Stays }, "{to:?} {other:?}");
            }
        }
        assert_eq!("PAY".parse::<Button>(), Err(NoSuchButton));
    }

    #[test]
    fn a_late_payment_goes_through_five_seconds_after_the_hold_and_cannot_be_called_back() {
        let open = standing(State::Open, Some(closes_at(at(100))));
        let late = step(decide(&open, Act::Press(Button::PayLate), at(1)));
        assert_eq!(late.due_at, Some(at(105)));
        let processing = standing(State::Processing, late.due_at);
        assert_eq!(decide(&processing, Act::MerchantCancel, at(50)), Decision::Stays);
        assert_eq!(decide(&processing, Act::Due, at(104)), Decision::Stays);
        assert_eq!(step(decide(&processing, Act::Due, at(105))).to, State::Paid);
        // Pressed when the hold is long gone, it goes through at once.
        assert_eq!(step(decide(&open, Act::Press(Button::PayLate), at(300))).due_at, Some(at(300)));
    }

    #[test]
    fn a_merchant_ends_only_what_is_open() {
        let open = standing(State::Open, Some(closes_at(at(100))));
        let cancelled = step(decide(&open, Act::MerchantCancel, at(99)));
        assert_eq!((cancelled.to, cancelled.webhook), (State::Cancelled, None));
        assert_eq!(step(decide(&open, Act::MerchantCancel, at(100))).to, State::Expired);
        for state in [State::Cancelled, State::Expired] {
            assert_eq!(decide(&standing(state, None), Act::MerchantCancel, at(1)), Decision::AsBefore);
        }
        for state in [State::Paid, State::Declined] {
            assert_eq!(decide(&standing(state, None), Act::MerchantCancel, at(1)), Decision::Stays);
        }
    }

    #[test]
    fn nothing_is_taken_after_the_gateway_closed() {
        let open = standing(State::Open, Some(closes_at(at(100))));
        let closed = closes_at(at(100));
        for act in [Act::Press(Button::Pay), Act::MerchantCancel, Act::Due] {
            assert_eq!(step(decide(&open, act, closed)).to, State::Expired, "{act:?}");
        }
    }
}
