//! Writes one of everything into a folder, to look at: `cargo run -p tickiz-documents --example samples -- FOLDER`.

use std::{error::Error, fs, path::PathBuf};

use tickiz_documents::{
    Locale, MailKind, Templates,
    calendar::{CalendarEntry, Person},
    mail::inline_images,
    sample,
};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("say into which folder")?);
    fs::create_dir_all(&folder)?;
    let templates = Templates::built_in()?;
    for locale in Locale::ALL {
        let (booking, tag) = (sample::booking(locale), locale.tag());
        #[cfg(feature = "pdf")]
        fs::write(folder.join(format!("tickets.{tag}.pdf")), tickiz_documents::pdf::tickets_pdf(&booking)?)?;
        let page = templates.ticket_page(&booking, tickiz_documents::WalletLinks::default())?;
        fs::write(folder.join(format!("page.{tag}.html")), page.html)?;
        let organizer = Person { name: "Tickiz".to_owned(), address: "tickets@tickiz.example".to_owned() };
        let entry = CalendarEntry::publish(&booking, "ord-0001@tickiz.example", organizer);
        fs::write(folder.join(format!("event.{tag}.ics")), entry.to_ics()?)?;
        fs::write(folder.join(format!("cancelled.{tag}.ics")), entry.cancelled(booking.issued_at).to_ics()?)?;
        for kind in MailKind::ALL {
            let mail = templates.preview(kind, locale)?;
            let name = kind.name();
            fs::write(folder.join(format!("{name}.{tag}.txt")), format!("{}\n\n{}", mail.subject, mail.text))?;
            // A browser has no parts of a mail to look up; beside the page it has files.
            let images = inline_images(kind, &booking)?;
            let html = images
                .iter()
                .fold(mail.html, |html, image| html.replace(&format!("cid:{}", image.content_id), &image.file_name));
            for image in images {
                fs::write(folder.join(&image.file_name), image.png)?;
            }
            fs::write(folder.join(format!("{name}.{tag}.html")), html)?;
        }
    }
    Ok(())
}
