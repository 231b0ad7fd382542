//! The integration tests, in one binary.

#[cfg(test)]
mod a2a;
mod a2a_rejoin;
#[cfg(test)]
mod agents;
#[cfg(test)]
mod bench;
#[cfg(test)]
mod binary;
#[cfg(test)]
mod browser_agents;
#[cfg(test)]
mod caps;
#[cfg(test)]
mod client;
#[cfg(test)]
mod commands;
#[cfg(test)]
mod console;
#[cfg(test)]
mod console_late;
#[cfg(test)]
mod console_operators;
#[cfg(test)]
mod console_tokens;
#[cfg(test)]
mod contexts;
mod crowds;
#[cfg(test)]
mod drain_storm;
#[cfg(test)]
mod event_source;
#[cfg(test)]
mod fan_out;
#[cfg(test)]
mod fuzz;
#[cfg(all(test, target_os = "linux"))]
mod half_open;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod http2;
#[cfg(test)]
mod javascript;
#[cfg(test)]
mod javascript_model;
#[cfg(test)]
mod javascript_tokens;
#[cfg(test)]
mod key_rotation;
#[cfg(test)]
mod layers;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod llm_clients;
#[cfg(test)]
mod llm_hub;
#[cfg(test)]
mod llm_settings;
#[cfg(test)]
mod load_balancer;
#[cfg(test)]
mod log_disk;
#[cfg(test)]
mod log_memory;
#[cfg(test)]
mod log_nats;
#[cfg(test)]
mod log_postgres;
#[cfg(test)]
mod log_resume;
#[cfg(test)]
mod lying_clients;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod mistakes;
#[cfg(test)]
mod mistakes_table;
#[cfg(test)]
mod names;
#[cfg(test)]
mod official;
#[cfg(all(test, target_os = "linux"))]
mod overload;
#[cfg(test)]
mod packaging;
#[cfg(test)]
mod proxies;
#[cfg(test)]
mod publishing;
#[cfg(test)]
mod race;
#[cfg(test)]
mod raw_requests;
#[cfg(test)]
mod readme;
#[cfg(test)]
mod rejoin;
#[cfg(test)]
mod rejoin_fold;
#[cfg(test)]
mod resume;
#[cfg(test)]
mod resume_model;
#[cfg(test)]
mod revocation;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod shutdown;
#[cfg(test)]
mod slow_reader;
#[cfg(all(test, target_os = "linux"))]
mod steady;
#[cfg(test)]
mod take_over;
#[cfg(test)]
mod tck;
#[cfg(test)]
mod telemetry;
#[cfg(test)]
mod tidy;
#[cfg(test)]
mod tokens;
#[cfg(test)]
mod top;
#[cfg(test)]
mod turns;
#[cfg(test)]
mod your_handlers;
