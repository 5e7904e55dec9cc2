//! What can be wrong with a template.

use std::path::PathBuf;

use super::MAX_TEMPLATE_BYTES;
use crate::booking::MAX_TICKETS;

/// Why there is no document.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// A file or the directory could not be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file in the directory has no built-in template that it would replace.
    #[error("{}: there is no template of this name to replace", path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
    },
    /// A file is larger than any template.
    #[error("{}: larger than {MAX_TEMPLATE_BYTES} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// It is not a template, names something that is not there, or runs for too long.
    #[error("{template}, line {line}: {problem}")]
    Broken {
        /// `<locale>/<name>.<extension>`: also where the file is in the directory.
        template: String,
        /// Counted from 1; 0 if it is not known.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// A subject is empty, or has more than one line.
    #[error("{template}: a subject is one line of text")]
    Subject {
        /// Which.
        template: String,
    },
    /// The style could end its own element.
    #[error("{template}: a style must not contain \"</\" or \"<!--\"")]
    Style {
        /// Which.
        template: String,
    },
    /// More tickets than a document has.
    #[error("{tickets} tickets; a document has at most {MAX_TICKETS}")]
    TooManyTickets {
        /// How many.
        tickets: usize,
    },
    /// The text of a code is too long for a picture.
    #[error(transparent)]
    Qr(#[from] tickiz_tickets::QrError),
}

impl TemplateError {
    /// The engine's error with the innermost file and line that it knows: an included file's, not that of the template which
    /// includes it.
    pub(super) fn broken(rendered: &str, error: &minijinja::Error) -> Self {
        let mut innermost = error;
        let mut next = std::error::Error::source(error);
        while let Some(source) = next {
            if let Some(source) = source.downcast_ref::<minijinja::Error>() {
                innermost = source;
            }
            next = source.source();
        }
        let template = innermost.name().unwrap_or(rendered).to_owned();
        let problem = match innermost.detail() {
            Some(detail) => format!("{}: {detail}", innermost.kind()),
            None => innermost.kind().to_string(),
        };
        Self::Broken { template, line: innermost.line().unwrap_or(0), problem }
    }
}
