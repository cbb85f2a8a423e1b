//! What a cluster's API server makes of our definitions and of the objects that we write.

mod admin;
mod controller;
mod crash;
mod definitions;
mod delegation;
mod deletion;
mod election;
mod faults;
mod flagger;
mod hooks;
mod listener;
mod loadtester;
mod many;
mod pods;
mod process;
mod projection;
mod proxies;
mod reports;
mod rights;
mod scenario;
#[path = "../../../../controller/probe/tests/scraping/mod.rs"]
mod scraping;
mod templates;
mod unreadable;
mod verbs;
mod weights;

use serin_e2e_apiserver::{program, scripted};
