//! The table of the projection `reports`: what the projector loads and writes.

use tickiz_domain::ids::BookingId;

use super::sale::{Sale, SaleRecord};
use crate::{
    ReadError,
    sql::{Keys, Row, Upsert, Value, versioned},
    store::WriteTx,
};

/// The columns of a line as they are written.
pub(crate) const COLUMNS: usize = 14;

const LOAD: &str = "SELECT booking_id, document, position FROM rm_reports_v1 WHERE line = 0 AND booking_id IN ({keys})";

/// Which type a line is of stays; the rest changes.
const WRITE: Upsert = Upsert {
    insert: "\
        INSERT INTO rm_reports_v1 (booking_id, line, event_id, organizer_id, ticket_type_id, placed_at, status, sold, tickets, \
        currency, received_minor, refunded_minor, document, position) VALUES",
    columns: COLUMNS,
    sqlite: "\
        ON CONFLICT (booking_id, line) DO UPDATE SET status = excluded.status, sold = excluded.sold, tickets = excluded.tickets, \
        received_minor = excluded.received_minor, refunded_minor = excluded.refunded_minor, document = excluded.document, \
        position = excluded.position",
    mysql: "\
        ON DUPLICATE KEY UPDATE status = VALUES(status), sold = VALUES(sold), tickets = VALUES(tickets), \
        received_minor = VALUES(received_minor), refunded_minor = VALUES(refunded_minor), document = VALUES(document), position = VALUES(position)",
};

/// A booking out of the columns `booking_id, document, position` from the one of that number on.
pub(crate) fn record_of(row: &Row, first: usize) -> Result<SaleRecord, ReadError> {
    let id = BookingId(row.uuid(first)?);
    let sale = serde_json::from_str::<Sale>(&row.text(first + 1)?)
        .map_err(|error| ReadError::Damaged { table: "rm_reports", what: format!("the document of {id}: {error}") })?;
    Ok(SaleRecord { id, sale, position: row.int(first + 2)? })
}

/// The lines of a booking, each as its columns.
pub(crate) fn values(record: &SaleRecord) -> Vec<[Value; COLUMNS]> {
    let SaleRecord { id, sale, position } = record;
    let document = serde_json::to_string(sale).expect("a sale has string keys and no fallible Serialize");
    let amounts = sale.received().into_iter().zip(sale.refunded());
    let line = |(at, (line, (received, refunded))): (usize, (&super::sale::SaleLine, (i64, i64)))| {
        [
            id.0.into(),
            i64::try_from(at).expect("a booking has few lines").into(),
            sale.event_id.0.into(),
            sale.organizer_id.0.into(),
            line.ticket_type_id.0.into(),
            sale.placed_at.timestamp_micros().into(),
            line.status(sale.status).name().into(),
            i64::from(sale.sold_at.is_some()).into(),
            line.tickets.into(),
            sale.currency.code().into(),
            received.into(),
            refunded.into(),
            if at == 0 { document.clone() } else { String::new() }.into(),
            (*position).into(),
        ]
    };
    sale.lines.iter().zip(amounts).enumerate().map(line).collect()
}

impl WriteTx {
    /// Loads what bookings come to; those that are not there are left out.
    ///
    /// # Errors
    /// When the store fails or a row is damaged.
    pub async fn load_sales(&mut self, ids: &[BookingId]) -> Result<Vec<SaleRecord>, ReadError> {
        let keys = ids.iter().map(|id| id.0.into()).collect();
        let rows = self.session.rows_by_keys(&versioned(LOAD, self.version), &Keys::Single, &[], keys).await?;
        rows.iter().map(|row| record_of(row, 0)).collect()
    }

    /// Writes what bookings come to now.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn write_sales_of(&mut self, records: impl Iterator<Item = &SaleRecord>) -> Result<(), ReadError> {
        let values = records.flat_map(values).flatten().collect();
        Ok(self.session.upsert(&WRITE, self.version, values).await?)
    }
}
