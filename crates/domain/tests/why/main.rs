//! Why a plan is not running: an answer in every stage and situation, and one that leads on.

mod causes;
mod family;
mod standing;
mod support;
mod table;
