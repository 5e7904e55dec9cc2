//! The table of the projection `bookings`: what the projector loads and writes.

use tickiz_domain::{
    booking::{BookingStatus, Purchase},
    ids::BookingId,
};

use crate::{
    BookingView, ReadError,
    sql::{Keys, Row, Upsert, Value, versioned},
    store::WriteTx,
};

pub(crate) const LOAD_BOOKINGS: &str =
    "SELECT booking_id, document, position FROM rm_bookings_v1 WHERE booking_id IN ({keys})";

const WRITE_BOOKINGS: Upsert = Upsert {
    insert: "INSERT INTO rm_bookings_v1 (booking_id, event_id, status, document, position) VALUES",
    columns: 5,
    sqlite: "\
        ON CONFLICT (booking_id) DO UPDATE SET status = excluded.status, document = excluded.document, \
        position = excluded.position",
    mysql: "\
        ON DUPLICATE KEY UPDATE status = VALUES(status), document = VALUES(document), position = VALUES(position)",
};

/// The stored name of a status, which is the GraphQL name.
const fn status_name(status: BookingStatus) -> &'static str {
    match status {
        BookingStatus::Held => "HELD",
        BookingStatus::Confirmed => "CONFIRMED",
        BookingStatus::Expired => "EXPIRED",
        BookingStatus::Cancelled => "CANCELLED",
        BookingStatus::Refunded => "REFUNDED",
    }
}

/// The status of that name.
pub(super) fn status_of(id: BookingId, name: &str) -> Result<BookingStatus, ReadError> {
    let all = [
        BookingStatus::Held,
        BookingStatus::Confirmed,
        BookingStatus::Expired,
        BookingStatus::Cancelled,
        BookingStatus::Refunded,
    ];
    let known = all.into_iter().find(|status| status_name(*status) == name);
    known.ok_or_else(|| ReadError::Damaged { table: "rm_bookings", what: format!("the status of {id} is {name:?}") })
}

/// A booking out of the columns `booking_id, document, position`.
pub(crate) fn view_of(row: &Row) -> Result<BookingView, ReadError> {
    let id = BookingId(row.uuid(0)?);
    let purchase = serde_json::from_str::<Purchase>(&row.text(1)?)
        .map_err(|error| ReadError::Damaged { table: "rm_bookings", what: format!("the document of {id}: {error}") })?;
    Ok(BookingView { id, purchase, position: row.int(2)? })
}

pub(crate) fn values(view: &BookingView) -> [Value; 5] {
    let document = serde_json::to_string(&view.purchase)
        .expect("a folded state has string keys and no fallible Serialize, so JSON cannot fail");
    [
        view.id.0.into(),
        view.purchase.event_id.0.into(),
        status_name(view.purchase.status).into(),
        document.into(),
        view.position.into(),
    ]
}

impl WriteTx {
    /// Loads bookings; those that are not there are left out.
    ///
    /// # Errors
    /// When the store fails or a row is damaged.
    pub async fn load_bookings(&mut self, ids: &[BookingId]) -> Result<Vec<BookingView>, ReadError> {
        let keys = ids.iter().map(|id| id.0.into()).collect();
        let sql = versioned(LOAD_BOOKINGS, self.version);
        let rows = self.session.rows_by_keys(&sql, &Keys::Single, &[], keys).await?;
        rows.iter().map(view_of).collect()
    }

    /// Writes bookings as they are now.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn write_bookings(&mut self, views: impl Iterator<Item = &BookingView>) -> Result<(), ReadError> {
        let values = views.flat_map(values).collect();
        Ok(self.session.upsert(&WRITE_BOOKINGS, self.version, values).await?)
    }
}
