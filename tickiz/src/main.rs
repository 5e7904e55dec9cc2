//! Tickiz: the one program.
//!
//! # Layout
//!
//! * [`cli`]: the commands and what each needs.
//! * [`config`]: settings, from defaults, file and environment.
//! * [`serve`]: every role in one process: puts log, write side, read side and HTTP together.
//! * `distributed`: the roles as processes of their own, over MySQL and Kafka; with the feature of that name.
//! * [`sockets`]: how many it may have open, and the one that it listens on.
//! * [`demo`]: demo data, by the ordinary commands.
//! * [`verify`], [`log`]: operator commands; [`stores`] opens what they read.

mod as_of;
mod audit;
mod cli;
mod config;
mod dead_letters;
mod demo;
#[cfg(feature = "distributed")]
mod distributed;
mod doctor;
mod gate;
mod log;
mod near;
mod replay;
mod review;
mod serve;
mod sockets;
mod stores;
mod telemetry;
mod verify;

use std::process::ExitCode;

// Many small short-lived allocations in many tasks: the system's allocator keeps more of them resident.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // One TLS provider for everybody in the process, chosen before anybody asks.
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        eprintln!("tickiz: another TLS provider was installed first");
        return ExitCode::FAILURE;
    }
    cli::run()
}
