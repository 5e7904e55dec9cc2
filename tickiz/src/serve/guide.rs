//! What a newcomer sees at the start of the demo: what to open, and a whole purchase as commands to paste.

use std::fmt::Write;

use crate::demo::DemoShow;

/// The text. `url` is where this process listens, without a slash at the end.
#[must_use]
pub fn text(url: &str, organizer_token: &str, auditor_token: &str, shows: &[DemoShow]) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "\nOpen {url}/ in a browser; the API is {url}/graphql.");
    let _ = writeln!(text, "Organiser: Authorization: Bearer {organizer_token}");
    let _ = writeln!(text, "Auditor:   Authorization: Bearer {auditor_token}");
    let Some(first) = shows.iter().find(|demo| demo.show.plan.is_some()).or_else(|| shows.first()) else { return text };
    let Some(ticket_type) = first.show.ticket_types.first() else { return text };
    let _ = writeln!(text, "\nA whole purchase, to paste into a shell ({}, {}):\n", first.show.title, ticket_type.name);
    let _ = writeln!(text, "{}", purchase(url, &first.id.to_string(), &ticket_type.id.to_string()));
    let _ = writeln!(text, "The log of all this:\n");
    let _ = writeln!(
        text,
        "  curl -s {url}/graphql -H 'content-type: application/json' -H 'authorization: Bearer {auditor_token}' \\\n    -d '{{\"query\":\"{{ log(first: 1000) {{ position type data }} }}\"}}'\n"
    );
    text
}

/// Places two seats beside each other, pays, and reads the tickets. Only curl and sed.
fn purchase(url: &str, event_id: &str, ticket_type_id: &str) -> String {
    let post = format!("curl -s {url}/graphql -H 'content-type: application/json' -d");
    let take = |name: &str, from: &str, field: &str| {
        format!("  {name}=$(printf '%s' \"${from}\" | sed 's/.*\"{field}\":\"\\([^\"]*\\)\".*/\\1/')\n")
    };
    let place = format!(
        "mutation {{ placeBooking(input: {{eventId: \\\"{event_id}\\\", tickets: [{{ticketTypeId: \\\"{ticket_type_id}\\\", quantity: 2}}], buyer: {{name: \\\"Lan\\\", email: \\\"lan@example.com\\\"}}, idempotencyKey: \\\"'$(cat /proc/sys/kernel/random/uuid)'\\\"}}) {{ id code accessToken holdExpiresAt total {{ amount currency }} }} }}"
    );
    let pay = "mutation { payBooking(input: {bookingId: \\\"'$BOOKING'\\\", method: SANDBOX, accessToken: \\\"'$TOKEN'\\\", idempotencyKey: \\\"'$(cat /proc/sys/kernel/random/uuid)'\\\"}) { status redirectUrl } }";
    let read =
        "{ booking(id: \\\"'$BOOKING'\\\", accessToken: \\\"'$TOKEN'\\\") { code status tickets { seatLabel code } } }";
    let mut text = String::new();
    let _ = writeln!(text, "  ORDER=$({post} '{{\"query\":\"{place}\"}}'); echo \"$ORDER\"");
    text.push_str(&take("BOOKING", "ORDER", "id"));
    text.push_str(&take("TOKEN", "ORDER", "accessToken"));
    let _ = writeln!(text, "  PAYMENT=$({post} '{{\"query\":\"{pay}\"}}'); echo \"$PAYMENT\"");
    text.push_str(&take("PAGE", "PAYMENT", "redirectUrl"));
    let _ = writeln!(text, "  curl -s -o /dev/null -d outcome=pay \"$PAGE\"   # or open $PAGE and press Pay");
    let _ = writeln!(text, "  sleep 1; {post} '{{\"query\":\"{read}\"}}'");
    let _ = writeln!(
        text,
        "  echo; echo \"{url}/tickets/$BOOKING?token=$TOKEN\"   # the tickets as a page; tickets.pdf and event.ics below it"
    );
    text
}
