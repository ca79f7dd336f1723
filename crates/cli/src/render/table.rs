//! Tables: aligned columns for people, tab-separated lines for programs.

use comfy_table::{ColumnConstraint, ContentArrangement, Table, presets};

use crate::render::clean;

/// Columns that are copied, or read at a glance: other columns make room for them.
const UNBROKEN: [&str; 7] = ["PLAN", "LOCK", "STATE", "STAGE", "PHASE", "TOKEN", "UPDATED"];

/// Rows of cells below headings. Cells are made safe for one line when they enter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grid {
    headings: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Grid {
    /// A grid without rows.
    pub fn new(headings: &[&str]) -> Self {
        Self { headings: headings.iter().map(ToString::to_string).collect(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| clean(&cell)).collect());
    }

    /// Aligned columns, within `width` columns if given. Nothing at all for no rows.
    pub fn aligned(&self, width: Option<u16>) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_header(&self.headings).add_rows(&self.rows);
        for (column, heading) in table.column_iter_mut().zip(&self.headings) {
            column.set_padding((0, 2));
            if UNBROKEN.contains(&heading.as_str()) {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
        match width {
            Some(columns) => table.set_content_arrangement(ContentArrangement::Dynamic).set_width(columns),
            None => table.set_content_arrangement(ContentArrangement::Disabled),
        };
        lines(table.lines().map(|line| line.trim_end().to_owned()))
    }

    /// One row a line, cells separated by tabs, no headings.
    pub fn plain(&self) -> String {
        lines(self.rows.iter().map(|row| row.join("\t")))
    }
}

/// Each text on a line of its own.
pub(super) fn lines(texts: impl IntoIterator<Item = String>) -> String {
    texts.into_iter().fold(String::new(), |all, text| all + &text + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> Grid {
        let mut grid = Grid::new(&["ID", "NAME"]);
        grid.row(["1".to_owned(), "a long name of many words".to_owned()]);
        grid.row(["22".to_owned(), "tab\there".to_owned()]);
        grid
    }

    #[test]
    fn columns_are_aligned_without_trailing_space() {
        assert_eq!(grid().aligned(None), "ID  NAME\n1   a long name of many words\n22  tab\\there\n");
    }

    #[test]
    fn a_narrow_terminal_wraps_cells() {
        let text = grid().aligned(Some(20));
        assert!(text.lines().all(|line| line.chars().count() <= 20) && text.lines().count() > 3, "{text}");
    }

    #[test]
    fn plain_lines_have_tabs_and_no_headings() {
        assert_eq!(grid().plain(), "1\ta long name of many words\n22\ttab\\there\n");
    }

    #[test]
    fn no_rows_are_no_lines() {
        assert_eq!(
            (Grid::new(&["ID"]).aligned(None), Grid::new(&["ID"]).plain()),
            (String::new(), String::new())
        );
    }

    #[test]
    fn what_is_copied_is_not_broken_however_narrow_the_terminal() {
        let mut grid = Grid::new(&["PLAN", "NAME"]);
        grid.row(["01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned(), "a long name of many words".to_owned()]);
        assert!(grid.aligned(Some(40)).contains("01ARZ3NDEKTSV4RRFFQ69G5FAV"));
    }
}
