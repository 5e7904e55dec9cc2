//! The raw values of file and environment, and what is wrong with them.

use std::{collections::BTreeMap, str::FromStr};

use super::settings::{SETTINGS, Setting};

/// A setting with a wrong value, or a file that cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConfigError {
    /// The value is wrong.
    #[error("{name} is {value:?} ({source_name}); allowed: {allowed}")]
    Value {
        /// The variable.
        name: String,
        /// The value, masked where it is secret.
        value: String,
        /// Where it stands.
        source_name: &'static str,
        /// What is allowed.
        allowed: String,
    },
    /// The file has a key that is no setting.
    #[error("{file} has the key {key:?}, which is no setting; known are: {known}")]
    UnknownKey {
        /// The file.
        file: String,
        /// The key.
        key: String,
        /// All keys.
        known: String,
    },
    /// A setting is missing that the command needs.
    #[cfg_attr(
        not(feature = "distributed"),
        allow(dead_code, reason = "only the roles need settings without a default")
    )]
    #[error("{name} is not set; {why}; allowed: {allowed}", allowed = find(name).allowed)]
    Missing {
        /// The variable.
        name: &'static str,
        /// What needs it.
        why: &'static str,
    },
    /// The file cannot be read.
    #[error("{file} cannot be read: {reason}")]
    File {
        /// The file.
        file: String,
        /// Why.
        reason: String,
    },
}

pub(super) const ENVIRONMENT: &str = "from the environment";
pub(super) const FILE: &str = "from the file";
pub(super) const DEFAULT: &str = "default";

/// The raw values by variable, with where they stand.
pub(super) struct Raw(pub(super) BTreeMap<&'static str, (String, &'static str)>);

pub(super) fn file_key(variable: &str) -> String {
    variable.trim_start_matches("TICKIZ_").to_ascii_lowercase()
}

impl Raw {
    pub(super) fn read(
        file: Option<(&str, &str)>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let mut raw = BTreeMap::new();
        if let Some((name, text)) = file {
            let table = toml::Table::from_str(text)
                .map_err(|error| ConfigError::File { file: name.to_owned(), reason: error.to_string() })?;
            for (key, value) in table {
                let Some(setting) = SETTINGS.iter().find(|s| file_key(s.variable) == key) else {
                    let known = SETTINGS.iter().map(|s| file_key(s.variable)).collect::<Vec<_>>().join(", ");
                    return Err(ConfigError::UnknownKey { file: name.to_owned(), key, known });
                };
                let text = match value {
                    toml::Value::String(text) => text,
                    other => other.to_string(),
                };
                raw.insert(setting.variable, (text, FILE));
            }
        }
        for setting in SETTINGS {
            if let Some(value) = environment(setting.variable).filter(|value| !value.is_empty()) {
                raw.insert(setting.variable, (value, ENVIRONMENT));
            }
        }
        Ok(Self(raw))
    }

    pub(super) fn parse<T>(
        &self,
        variable: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        let Some((value, source_name)) = self.0.get(variable) else { return Ok(None) };
        match parse(value.trim()) {
            Some(parsed) => Ok(Some(parsed)),
            None => Err(self.wrong(variable, source_name)),
        }
    }

    pub(super) fn wrong(&self, variable: &str, source_name: &'static str) -> ConfigError {
        let setting = find(variable);
        let value = self.0.get(variable).map(|(value, _)| value.as_str()).unwrap_or_default();
        ConfigError::Value {
            name: variable.to_owned(),
            value: shown(setting, value),
            source_name,
            allowed: setting.allowed.to_owned(),
        }
    }

    pub(super) fn show(&self) -> Vec<(&'static str, String, &'static str)> {
        SETTINGS
            .iter()
            .map(|setting| match self.0.get(setting.variable) {
                Some((value, source_name)) => (setting.variable, shown(setting, value), *source_name),
                None => (setting.variable, setting.default.to_owned(), DEFAULT),
            })
            .collect()
    }
}

pub(super) fn find(variable: &str) -> &'static Setting {
    SETTINGS.iter().find(|s| s.variable == variable).expect("every variable that is parsed stands in SETTINGS")
}

pub(super) fn shown(setting: &Setting, value: &str) -> String {
    if setting.secret { format!("*** ({} characters)", value.chars().count()) } else { value.to_owned() }
}
