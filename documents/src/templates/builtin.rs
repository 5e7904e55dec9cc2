//! The built-in templates, and a directory that replaces some of them.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use super::{MAX_TEMPLATE_BYTES, TemplateError};

/// The one file that is not a template: the style of the ticket page, taken as it is, since its hash is promised.
pub(super) const STYLE: &str = "shared/ticket_page.css";

macro_rules! files {
    ($($name:literal),+ $(,)?) => { [$(($name, include_str!(concat!("../../templates/", $name)))),+] };
}

const FILES: &[(&str, &str)] = &files![
    "shared/mail.html",
    "shared/ticket_page.css",
    "vi/details.html",
    "vi/details.txt",
    "vi/tickets.html",
    "vi/tickets.txt",
    "vi/ticket_page.html",
    "vi/confirmed.subject",
    "vi/confirmed.txt",
    "vi/confirmed.html",
    "vi/reissued.subject",
    "vi/reissued.txt",
    "vi/reissued.html",
    "vi/expired.subject",
    "vi/expired.txt",
    "vi/expired.html",
    "vi/refunded.subject",
    "vi/refunded.txt",
    "vi/refunded.html",
    "vi/cancelled_show.subject",
    "vi/cancelled_show.txt",
    "vi/cancelled_show.html",
    "vi/changed_show.subject",
    "vi/changed_show.txt",
    "vi/changed_show.html",
    "vi/postponed_show.subject",
    "vi/postponed_show.txt",
    "vi/postponed_show.html",
    "vi/reminder.subject",
    "vi/reminder.txt",
    "vi/reminder.html",
    "en/details.html",
    "en/details.txt",
    "en/tickets.html",
    "en/tickets.txt",
    "en/ticket_page.html",
    "en/confirmed.subject",
    "en/confirmed.txt",
    "en/confirmed.html",
    "en/reissued.subject",
    "en/reissued.txt",
    "en/reissued.html",
    "en/expired.subject",
    "en/expired.txt",
    "en/expired.html",
    "en/refunded.subject",
    "en/refunded.txt",
    "en/refunded.html",
    "en/cancelled_show.subject",
    "en/cancelled_show.txt",
    "en/cancelled_show.html",
    "en/changed_show.subject",
    "en/changed_show.txt",
    "en/changed_show.html",
    "en/postponed_show.subject",
    "en/postponed_show.txt",
    "en/postponed_show.html",
    "en/reminder.subject",
    "en/reminder.txt",
    "en/reminder.html",
];

/// Every built-in file by its name.
pub(super) fn files() -> BTreeMap<String, String> {
    FILES.iter().map(|(name, source)| ((*name).to_owned(), (*source).to_owned())).collect()
}

/// Takes the files of a directory in the place of built-in ones.
///
/// # Errors
/// [`TemplateError`].
pub(super) fn replace_from(directory: &Path, files: &mut BTreeMap<String, String>) -> Result<(), TemplateError> {
    for folder in entries(directory)? {
        // A README beside the folders is nobody's mistake.
        if !folder.is_dir() {
            continue;
        }
        for path in entries(&folder)? {
            let name = path.strip_prefix(directory).ok().and_then(Path::to_str);
            // Always with `/`, whatever this system writes between folders.
            let name = name.map(|name| name.replace(std::path::MAIN_SEPARATOR, "/")).unwrap_or_default();
            let Some(source) = files.get_mut(&name) else { return Err(TemplateError::Unknown { path }) };
            *source = read(&path)?;
        }
    }
    Ok(())
}

/// What is in a directory but hidden files, in the order of names, so that of two mistakes the same is always told first.
fn entries(directory: &Path) -> Result<Vec<PathBuf>, TemplateError> {
    let failed = |source: io::Error| TemplateError::Read { path: directory.to_owned(), source };
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        // Editors leave hidden files beside what is open in them, and mounted volumes have their own.
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

fn read(path: &Path) -> Result<String, TemplateError> {
    let failed = |source: io::Error| TemplateError::Read { path: path.to_owned(), source };
    if fs::metadata(path).map_err(failed)?.len() > MAX_TEMPLATE_BYTES {
        return Err(TemplateError::TooLarge { path: path.to_owned() });
    }
    fs::read_to_string(path).map_err(failed)
}
