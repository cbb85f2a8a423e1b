//! What a cluster's API server makes of our definitions and of the objects that we write.

mod controller;
mod crash;
mod definitions;
mod delegation;
mod deletion;
mod faults;
mod many;
mod pods;
mod projection;
mod scenario;
mod scripted;
mod unreadable;
