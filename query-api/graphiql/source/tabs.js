// What a newcomer finds open: a purchase in order, then what an organiser and an auditor do.
const headers = '{ "authorization": "Bearer " }';

export const tabs = [
  {
    query: `# Shows on sale. The keys Ctrl-Space complete, Ctrl-Enter runs; the documentation is at the left.
query Shows {
  events(first: 10, filter: { availableOnly: true }) {
    totalCount
    edges {
      node {
        id title startsAt hasSeatingPlan
        venue { name city }
        priceFrom { amount currency }
        ticketTypes { id name available price { amount currency } }
      }
    }
  }
}
`,
  },
  {
    query: `query Seats($event: ID!) {
  seatMap(eventId: $event) {
    version
    sections { name rows { label seats { id number category status } } }
  }
}
`,
    variables: '{ "event": "an id of Shows" }',
  },
  {
    query: `# Keep id and accessToken of the answer: they are the buyer's.
mutation Place($input: PlaceBookingInput!) {
  placeBooking(input: $input) {
    id code status accessToken holdExpiresAt
    total { amount currency }
    tickets { seatLabel price { amount currency } }
  }
}
`,
    variables: `{
  "input": {
    "eventId": "an id of Shows",
    "tickets": [{ "ticketTypeId": "a type of that show", "quantity": 2 }],
    "buyer": { "name": "Lan", "email": "lan@example.com" },
    "idempotencyKey": "a new one for every order"
  }
}`,
  },
  {
    query: `# Open redirectUrl in a browser, and press Pay.
mutation Pay($input: PayBookingInput!) {
  payBooking(input: $input) { id status redirectUrl amount { amount currency } }
}
`,
    variables: `{
  "input": {
    "bookingId": "the id of Place",
    "accessToken": "the accessToken of Place",
    "method": "SANDBOX",
    "idempotencyKey": "a new one for every payment"
  }
}`,
  },
  {
    query: `# Follows a booking while it is paid, in another tab, say.
subscription Follow($id: ID!, $token: String) {
  bookingChanged(id: $id, accessToken: $token) {
    status
    payments { status }
    tickets { seatLabel code }
  }
}
`,
    variables: '{ "id": "the id of Place", "token": "the accessToken of Place" }',
  },
  {
    query: `# Every seat that changes hands.
subscription SeatsLive($event: ID!) {
  seatAvailability(eventId: $event) {
    fromVersion version snapshot
    changes { seatId status }
    ticketTypes { ticketTypeId available }
  }
}
`,
    variables: '{ "event": "an id of Shows" }',
  },
  {
    query: `# For auditors: the start of the program prints their token, which goes into the headers below.
query Log {
  log(first: 50) { position recordedAt streamType streamId sequence type data }
}
`,
    headers,
  },
];
