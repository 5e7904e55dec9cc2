//! Where this machine gets its Debian packages from.
//!
//! `debootstrap` must download from the mirror that the machine is set up for, not from one that we name. It does not
//! read apt's sources by itself, so we do: both formats of sources.list(5), the one-line one (`*.list`) and deb822
//! (`*.sources`).

use std::path::Path;

/// The first Debian mirror among apt's sources below `apt_folder` (`/etc/apt`), or nothing where there is none.
///
/// Unreadable files are passed over, as apt itself does with files that it does not know.
pub fn debian_mirror(apt_folder: &Path) -> Option<String> {
    let mut files = vec![apt_folder.join("sources.list")];
    let mut parts: Vec<_> = std::fs::read_dir(apt_folder.join("sources.list.d"))
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    parts.sort();
    files.extend(parts);
    files.iter().find_map(|file| {
        let text = std::fs::read_to_string(file).ok()?;
        let uris = match file.extension()?.to_str()? {
            "list" => one_line_uris(&text),
            "sources" => deb822_uris(&text),
            _ => return None,
        };
        uris.into_iter().find(|uri| is_debian_mirror(uri))
    })
}

/// A URI that `debootstrap` can download from and whose path says that it is Debian's main archive: neither
/// `debian-security`, which has no `sid`, nor another distribution or a vendor's repository.
fn is_debian_mirror(uri: &str) -> bool {
    let downloadable = ["http://", "https://", "file:/"].iter().any(|scheme| uri.starts_with(scheme));
    downloadable && uri.trim_end_matches('/').ends_with("/debian")
}

/// `deb [option=value …] uri suite component …`, a `#` starting a comment.
fn one_line_uris(text: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| {
            let line = line.split('#').next().unwrap_or_default().trim();
            let rest = line.strip_prefix("deb")?;
            let rest = rest.strip_prefix(char::is_whitespace)?.trim_start();
            let rest = match rest.strip_prefix('[') {
                Some(options) => options.split_once(']')?.1,
                None => rest,
            };
            rest.split_whitespace().next().map(str::to_owned)
        })
        .collect()
}

/// Stanzas of `Field: value`, separated by empty lines; a value goes on where a line begins with a space; several types
/// and URIs may stand in one stanza; `Enabled: no` switches a stanza off.
fn deb822_uris(text: &str) -> Vec<String> {
    let mut uris = Vec::new();
    let mut stanza: Vec<(String, String)> = Vec::new();
    for line in text.lines().chain([""]) {
        if line.starts_with('#') {
            continue;
        }
        if line.trim().is_empty() {
            uris.extend(stanza_uris(&stanza));
            stanza.clear();
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = stanza.last_mut() {
                value.push(' ');
                value.push_str(line.trim());
            }
        } else if let Some((field, value)) = line.split_once(':') {
            stanza.push((field.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    uris
}

fn stanza_uris(stanza: &[(String, String)]) -> Vec<String> {
    let field = |name: &str| stanza.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value.as_str());
    let off = ["no", "false", "without", "off", "disable"].contains(&field("enabled").to_ascii_lowercase().as_str());
    if off || !field("types").split_whitespace().any(|kind| kind == "deb") {
        return Vec::new();
    }
    field("uris").split_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mirror_of(files: &[(&str, &str)]) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("sources.list.d")).unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        debian_mirror(folder.path())
    }

    #[test]
    fn a_one_line_source_is_read_with_options_and_comments() {
        let text = "# deb http://old.example/debian bookworm main\n\
                    deb-src http://source.example/debian bookworm main\n\
                    deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian/ bookworm main # ours\n";
        assert_eq!(mirror_of(&[("sources.list", text)]).as_deref(), Some("http://mirror.example/debian/"));
    }

    #[test]
    fn a_deb822_source_is_read_with_continuations_and_several_uris() {
        let text = "Types: deb deb-src\n# a comment inside\nURIs: http://security.example/debian-security\n \
                    https://mirror.example/debian\nSuites: bookworm\n";
        assert_eq!(
            mirror_of(&[("sources.list.d/debian.sources", text)]).as_deref(),
            Some("https://mirror.example/debian")
        );
    }

    #[test]
    fn a_disabled_or_source_only_stanza_is_passed_over() {
        let text = "Types: deb\nURIs: http://off.example/debian\nEnabled: no\n\n\
                    Types: deb-src\nURIs: http://source.example/debian\n\n\
                    types: deb\nuris: http://on.example/debian\n";
        assert_eq!(mirror_of(&[("sources.list.d/debian.sources", text)]).as_deref(), Some("http://on.example/debian"));
    }

    #[test]
    fn vendors_other_distributions_and_odd_transports_are_no_debian_mirror() {
        let list = "deb http://security.example/debian-security bookworm-security main\n\
                    deb https://vendor.example/node_20.x nodistro main\n\
                    deb http://archive.example/ubuntu noble main\n\
                    deb cdrom:[Debian]/debian bookworm main\n\
                    deb mirror+file:/etc/apt/mirrors/debian bookworm main\n";
        assert_eq!(
            mirror_of(&[("sources.list", list), ("sources.list.d/x.list.disabled", "deb http://a/debian b c")]),
            None
        );
    }

    #[test]
    fn a_machine_without_sources_has_no_mirror() {
        assert_eq!(mirror_of(&[]), None);
        assert_eq!(debian_mirror(Path::new("/nonexistent")), None);
    }
}
