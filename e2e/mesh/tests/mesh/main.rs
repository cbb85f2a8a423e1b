//! The filter in a real mesh, theme by theme. Each test has a namespace of its own and runs beside others, except those
//! that stop a part of the mesh.

mod churn;
mod hidden;
mod istiod;
mod patch;
mod prometheus;
mod reports;
mod steering;
mod unfetchable;
