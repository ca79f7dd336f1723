//! A statement of ours, written out, with its parameters: prepared once for each connection.
//!
//! Diesel caches a statement only if it can tell it from others. A `sql_query` it cannot, and that
//! halves what a connection does (`docs/performance.md`); this one it tells by its text. `?` stands
//! for a parameter, in the order in which they are bound.

use std::marker::PhantomData;

use agents_domain::lock::{LockKey, Term};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Nullable, Text};

/// A statement whose rows are of the SQL types `R`.
pub(crate) struct Statement<R> {
    texts: Vec<&'static str>,
    parameters: Vec<Parameter>,
    rows: PhantomData<R>,
}

enum Parameter {
    Text(String),
    Number(i64),
    Texts(Vec<Option<String>>),
    Numbers(Vec<Option<i64>>),
    /// A piece of a statement that Diesel makes.
    Part(Box<dyn QueryFragment<Pg> + Send>),
}

impl<R> Statement<R> {
    /// A statement without parameters yet.
    pub(crate) fn new(text: &'static str) -> Self {
        Self { texts: vec![text], parameters: Vec::new(), rows: PhantomData }
    }

    /// Goes on with that text; the parameters in it come after those that are bound already.
    pub(crate) fn and(mut self, text: &'static str) -> Self {
        self.texts.push(text);
        self
    }

    fn with(mut self, parameter: Parameter) -> Self {
        self.parameters.push(parameter);
        self
    }

    /// Binds a text.
    pub(crate) fn text(self, value: impl Into<String>) -> Self {
        self.with(Parameter::Text(value.into()))
    }

    /// Binds a number.
    pub(crate) fn number(self, value: i64) -> Self {
        self.with(Parameter::Number(value))
    }

    /// Binds any number of texts as one array.
    pub(crate) fn texts<T: Into<String>>(self, values: impl IntoIterator<Item = T>) -> Self {
        self.with(Parameter::Texts(values.into_iter().map(|value| Some(value.into())).collect()))
    }

    /// The same, where some may be missing.
    pub(crate) fn texts_or_null(self, values: impl IntoIterator<Item = Option<String>>) -> Self {
        self.with(Parameter::Texts(values.into_iter().collect()))
    }

    /// Binds any number of numbers as one array.
    pub(crate) fn numbers(self, values: impl IntoIterator<Item = i64>) -> Self {
        self.numbers_or_null(values.into_iter().map(Some))
    }

    /// The same, where some may be missing.
    pub(crate) fn numbers_or_null(self, values: impl IntoIterator<Item = Option<i64>>) -> Self {
        self.with(Parameter::Numbers(values.into_iter().collect()))
    }

    /// Puts in what Diesel makes of that, such as the columns to be set, with the values bound in it.
    pub(crate) fn part(self, part: impl QueryFragment<Pg> + Send + 'static) -> Self {
        self.with(Parameter::Part(Box::new(part)))
    }

    /// Binds keys as two arrays: types and ids.
    pub(crate) fn keys<'k>(self, keys: impl IntoIterator<Item = &'k LockKey> + Clone) -> Self {
        self.texts(keys.clone().into_iter().map(LockKey::resource_type))
            .texts(keys.into_iter().map(LockKey::resource_id))
    }

    /// Binds terms as three arrays: types, ids and tokens.
    pub(crate) fn terms(self, terms: &[Term]) -> Self {
        self.keys(terms.iter().map(|(key, _)| key)).numbers(terms.iter().map(|(_, token)| token.value()))
    }

    /// Runs it, for its rows.
    pub(crate) fn rows<'q, T>(self, connection: &mut PgConnection) -> QueryResult<Vec<T>>
    where
        Self: diesel::query_dsl::LoadQuery<'q, PgConnection, T>,
    {
        RunQueryDsl::load(self, connection)
    }

    /// Runs it, for its first row.
    pub(crate) fn first<'q, T>(self, connection: &mut PgConnection) -> QueryResult<T>
    where
        Self: diesel::query_dsl::LoadQuery<'q, PgConnection, T>,
    {
        RunQueryDsl::get_result(self, connection)
    }
}

impl<R> Query for Statement<R> {
    type SqlType = R;
}

impl<R> RunQueryDsl<PgConnection> for Statement<R> {}

impl<R> QueryId for Statement<R> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<R> QueryFragment<Pg> for Statement<R> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let mut parameters = self.parameters.iter();
        for text in &self.texts {
            let mut pieces = text.split('?');
            out.push_sql(pieces.next().unwrap_or_default());
            for piece in pieces {
                match parameters.next().expect("a parameter for every `?`") {
                    Parameter::Text(value) => out.push_bind_param::<Text, _>(value)?,
                    Parameter::Number(value) => out.push_bind_param::<BigInt, _>(value)?,
                    Parameter::Texts(values) => out.push_bind_param::<Array<Nullable<Text>>, _>(values)?,
                    Parameter::Numbers(values) => {
                        out.push_bind_param::<Array<Nullable<BigInt>>, _>(values)?;
                    }
                    Parameter::Part(part) => part.walk_ast(out.reborrow())?,
                }
                out.push_sql(piece);
            }
        }
        assert!(parameters.next().is_none(), "a `?` for every parameter");
        Ok(())
    }
}
