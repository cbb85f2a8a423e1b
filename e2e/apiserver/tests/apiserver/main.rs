//! What a cluster's API server makes of our definitions and of the objects that we write.

mod admin;
mod controller;
mod definitions;
mod election;
mod flagger;
mod pods;
mod program;
mod projection;
