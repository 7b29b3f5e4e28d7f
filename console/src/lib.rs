//! People see and correct tags: a JSON API, and pages rendered here, on the same data.
//!
//! `routes.rs` lists everything that is answered, with the right that it takes: begin there.
//! `api/` answers programs, `pages/` people; both ask `store/`, where each file is one question to
//! the database. `auth/` says who somebody is and what they may do, and `thumbnails/` brings pictures.

pub mod announce;
pub mod api;
pub mod app;
pub mod auth;
pub mod cli;
pub mod config;
pub mod metrics;
pub mod pages;
pub mod routes;
pub mod state;
pub mod store;
pub mod thumbnails;
pub mod tokens;
pub mod web;
