//! One booking's feed.
