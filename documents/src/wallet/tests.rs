//! Passes read back: archive, manifest, signature, token. The keys are made for each run, since a key in a repository is one that
//! somebody will use.

use std::{collections::BTreeMap, io::Read, sync::LazyLock};

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rsa::KeySize,
    signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    apple::{PassIdentity, PassSigner},
    cms::{element, tlv},
    google::{MAX_LINK_CHARS, PassNames, SaveLinks},
    *,
};
use crate::{Locale, sample};

struct Identity {
    key_pem: String,
    certificate_pem: String,
    public: Vec<u8>,
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

/// A certificate as far as it is read here: a version, a serial number, an issuer, and the key somewhere.
fn certificate(public: &[u8]) -> Vec<u8> {
    let name = tlv(0x30, &[&tlv(0x31, &[])]);
    let version = tlv(0xa0, &[&tlv(2, &[&[2]])]);
    let body = tlv(0x30, &[&version, &tlv(2, &[&[0x55, 0x66]]), &tlv(0x30, &[]), &name, &tlv(3, &[&[0], public])]);
    tlv(0x30, &[&body, &tlv(0x30, &[]), &tlv(3, &[&[0]])])
}

static IDENTITY: LazyLock<Identity> = LazyLock::new(|| {
    let key = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der<'_> = key.as_der().unwrap();
    let public = key.public_key().as_ref().to_vec();
    let certificate_pem = pem("CERTIFICATE", &certificate(&public));
    Identity { key_pem: pem("PRIVATE KEY", der.as_ref()), certificate_pem, public }
});

fn signer() -> PassSigner {
    let identity = PassIdentity {
        pass_type: "pass.example.tickets",
        team: "ABCDE12345",
        certificate_pem: IDENTITY.certificate_pem.as_bytes(),
        key_pem: IDENTITY.key_pem.as_bytes(),
        intermediate_pem: IDENTITY.certificate_pem.as_bytes(),
    };
    PassSigner::try_new(&identity).unwrap()
}

fn pictures() -> BTreeMap<String, Vec<u8>> {
    [("icon.png".to_owned(), vec![1, 2, 3]), ("logo@2x.png".to_owned(), vec![4])].into()
}

fn files(pkpass: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(pkpass)).unwrap();
    let mut files = BTreeMap::new();
    for at in 0..archive.len() {
        let mut file = archive.by_index(at).unwrap();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        assert!(files.insert(file.name().to_owned(), bytes).is_none());
    }
    files
}

fn verifies(message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &IDENTITY.public).verify(message, signature).is_ok()
}

/// The members of a constructed element.
fn members(whole: &[u8]) -> Vec<&[u8]> {
    let (_, mut rest, _) = element(whole).unwrap();
    let mut members = Vec::new();
    while !rest.is_empty() {
        let (member, _, after) = element(rest).unwrap();
        members.push(member);
        rest = after;
    }
    members
}

#[test]
fn a_pass_has_every_file_in_its_manifest_and_the_manifest_is_signed() {
    let booking = sample::booking(Locale::Vi);
    let pass = signer().pkpass(&booking, 2, "t-1", &pictures(), booking.issued_at).unwrap();
    assert_eq!(
        pass,
        signer().pkpass(&booking, 2, "t-1", &pictures(), booking.issued_at).unwrap(),
        "the same bytes again"
    );
    let files = files(&pass);
    let manifest: BTreeMap<String, String> = serde_json::from_slice(&files["manifest.json"]).unwrap();
    assert_eq!(manifest.keys().collect::<Vec<_>>(), ["icon.png", "logo@2x.png", "pass.json"]);
    assert_eq!(files.len(), manifest.len() + 2);
    // `printf '\1\2\3' | sha1sum`
    assert_eq!(manifest["icon.png"], "7037807198c22a7d2b0807371d763779a84fdfcf");
    let signed_data = members(members(&files["signature"])[1])[0];
    let signed_data = members(signed_data);
    assert_eq!(signed_data.len(), 5);
    let signer_info = members(members(signed_data[4])[0]);
    let [_, _, _, attributes, _, signature] = signer_info[..] else { panic!("six members") };
    let mut signed = attributes.to_vec();
    signed[0] = 0x31;
    assert!(verifies(&signed, element(signature).unwrap().1));
    let digest = Sha256::digest(&files["manifest.json"]);
    assert!(attributes.windows(32).any(|bytes| bytes == &digest[..]));
    assert!(attributes.windows(13).any(|bytes| bytes == b"260101000000Z"));
}

#[test]
fn a_pass_says_what_its_ticket_says() {
    let mut booking = sample::booking(Locale::Vi);
    let pass = |booking: &crate::Booking| -> Value {
        let pass = signer().pkpass(booking, 2, "t-1", &pictures(), booking.issued_at).unwrap();
        serde_json::from_slice(&files(&pass)["pass.json"]).unwrap()
    };
    let told = pass(&booking);
    assert_eq!(told["barcodes"][0]["message"], booking.tickets[1].code);
    assert_eq!(told["relevantDate"], "2026-02-28T12:00:00Z");
    assert_eq!(told["eventTicket"]["auxiliaryFields"][0]["value"], "Khán đài A · Hàng C · Ghế 13");
    assert_eq!(told["eventTicket"]["headerFields"][0]["value"], "2/2");
    booking.show.postponed = true;
    let told = pass(&booking);
    assert!(told.get("relevantDate").is_none() && !told.to_string().contains("28 tháng 2"));
}

#[test]
fn what_is_no_pass_is_an_error() {
    let booking = sample::booking(Locale::En);
    let pkpass = |number, pictures: &BTreeMap<String, Vec<u8>>| {
        signer().pkpass(&booking, number, "s", pictures, booking.issued_at)
    };
    for number in [0, 3] {
        assert!(matches!(pkpass(number, &pictures()), Err(WalletError::NoTicket { .. })));
    }
    assert!(matches!(pkpass(1, &BTreeMap::new()), Err(WalletError::Picture { name }) if name == "icon.png"));
    for name in ["pass.json", "../icon.png", "icon@4x.png", "signature"] {
        let mut pictures = pictures();
        pictures.insert(name.to_owned(), vec![]);
        assert!(matches!(pkpass(1, &pictures), Err(WalletError::Picture { name: refused }) if refused == name));
    }
    let other = pem("CERTIFICATE", &certificate(&[1; 270]));
    for (certificate, key, wanted) in [
        (other.as_str(), IDENTITY.key_pem.as_str(), "the certificate is of another key"),
        ("", IDENTITY.key_pem.as_str(), "not a certificate in PEM"),
        (IDENTITY.certificate_pem.as_str(), "", "not a private key in PEM"),
        (
            IDENTITY.certificate_pem.as_str(),
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
            "not an RSA key that can sign",
        ),
    ] {
        let identity = PassIdentity {
            pass_type: "p",
            team: "t",
            certificate_pem: certificate.as_bytes(),
            key_pem: key.as_bytes(),
            intermediate_pem: IDENTITY.certificate_pem.as_bytes(),
        };
        assert_eq!(PassSigner::try_new(&identity).err().unwrap().to_string(), wanted);
    }
}

#[test]
fn a_link_is_a_token_signed_by_the_account() {
    let mut booking = sample::booking(Locale::Vi);
    let links = SaveLinks::try_new("shop@example.com", "3388", IDENTITY.key_pem.as_bytes()).unwrap();
    let link = |booking: &crate::Booking, with_class| {
        let names = PassNames { class: "show-1001", object: "ticket-1", with_class };
        links.link(booking, 1, &names, &["https://tickiz.example"], booking.issued_at)
    };
    let short = link(&booking, false).unwrap();
    let token = short.strip_prefix("https://pay.google.com/gp/v/save/").unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    assert!(verifies(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()));
    let (header, claims) = signed.split_once('.').unwrap();
    let read = |part: &str| -> Value { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap() };
    assert_eq!(read(header), serde_json::json!({ "alg": "RS256", "typ": "JWT" }));
    let claims = read(claims);
    assert_eq!(
        (&claims["iss"], &claims["aud"], &claims["typ"]),
        (&"shop@example.com".into(), &"google".into(), &"savetowallet".into())
    );
    assert_eq!(claims["iat"], booking.issued_at.timestamp());
    let object = &claims["payload"]["eventTicketObjects"][0];
    assert_eq!((&object["id"], &object["classId"]), (&"3388.ticket-1".into(), &"3388.show-1001".into()));
    assert_eq!(object["barcode"]["value"], booking.tickets[0].code);
    assert!(claims["payload"].get("eventTicketClasses").is_none());
    assert!(short.len() < 1_800, "a ticket alone keeps to what Google advises");
    let whole = link(&booking, true).unwrap();
    let claims = whole.split('.').nth(3).unwrap();
    let class = &read(claims)["payload"]["eventTicketClasses"][0];
    assert_eq!(class["id"], "3388.show-1001");
    assert_eq!(class["dateTime"]["start"], "2026-02-28T19:00:00+07:00");
    assert_eq!(class["eventName"]["defaultValue"]["value"], booking.show.title);
    booking.tickets[0].kind = "x".repeat(MAX_LINK_CHARS);
    assert!(matches!(link(&booking, false), Err(WalletError::TooLong { .. })));
}
