//! The domain as a whole: every cell of the aggregates' tables, their invariants over random histories, and the stored shapes.
//! One program, so that it is linked once.

mod booking_histories;
mod booking_rules;
mod booking_table;
mod event_histories;
mod event_rules;
mod event_table;
mod examples;
mod golden;
mod pictures;
mod refunds;
mod schemas;
mod support;
mod table;
mod upcasters;
