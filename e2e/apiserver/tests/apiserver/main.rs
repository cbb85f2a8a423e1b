//! What a cluster's API server makes of our definitions and of the objects that we write.

mod controller;
mod definitions;
mod pods;
mod projection;
mod rights;
mod verbs;
