//! The filter in a real mesh, theme by theme. Each test has a namespace of its own and runs beside others, except those
//! that take a part of the mesh away.

mod autoscaler;
mod churn;
mod hidden;
mod patch;
mod prometheus;
mod reports;
mod steering;
mod unfetchable;
mod without;
