//! The four lists, the columns of each, and those that fit on a screen.

use super::Column;

/// One of the four lists.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum View {
    /// What runs now.
    #[default]
    Active,
    /// What has ended.
    Recent,
    /// Sums of each model.
    Models,
    /// What has failed.
    Errors,
}

impl View {
    pub(crate) const ALL: [Self; 4] = [Self::Active, Self::Recent, Self::Models, Self::Errors];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Active => "Active",
            Self::Recent => "Recent",
            Self::Models => "Models",
            Self::Errors => "Errors",
        }
    }

    pub(crate) const fn index(self) -> usize {
        match self {
            Self::Active => 0,
            Self::Recent => 1,
            Self::Models => 2,
            Self::Errors => 3,
        }
    }

    /// Its columns from left to right, each with its rank: those with high ranks are left out first.
    pub(crate) const fn columns(self) -> &'static [(Column, u8)] {
        use Column as C;
        match self {
            Self::Active => &[
                (C::State, 0),
                (C::Age, 1),
                (C::Id, 8),
                (C::Agent, 9),
                (C::Provider, 10),
                (C::Model, 0),
                (C::Input, 7),
                (C::Cached, 12),
                (C::Output, 2),
                (C::Rate, 3),
                (C::Spark, 11),
                (C::FirstToken, 6),
                (C::Cost, 4),
                (C::Text, 5),
            ],
            Self::Recent => &[
                (C::State, 0),
                (C::Ended, 1),
                (C::Id, 9),
                (C::Agent, 10),
                (C::Provider, 11),
                (C::Model, 0),
                (C::Duration, 3),
                (C::Input, 5),
                (C::Cached, 12),
                (C::Output, 2),
                (C::Rate, 6),
                (C::FirstToken, 7),
                (C::Cost, 4),
                (C::Finish, 8),
                (C::Text, 13),
            ],
            Self::Models => &[
                (C::Provider, 9),
                (C::Model, 0),
                (C::Running, 1),
                (C::Started, 2),
                (C::Completed, 7),
                (C::Failed, 4),
                (C::Input, 5),
                (C::Cached, 8),
                (C::Output, 6),
                (C::Cost, 3),
                (C::Unpriced, 10),
                (C::Unreported, 11),
            ],
            Self::Errors => &[
                (C::State, 0),
                (C::Ended, 1),
                (C::Id, 5),
                (C::Agent, 8),
                (C::Provider, 6),
                (C::Model, 0),
                (C::Status, 3),
                (C::Code, 4),
                (C::Duration, 7),
                (C::Cost, 9),
                (C::Message, 2),
            ],
        }
    }

    /// The column that it is sorted by at first.
    pub(crate) const fn first_sort(self) -> Column {
        match self {
            Self::Active => Column::Age,
            Self::Recent | Self::Errors => Column::Ended,
            Self::Models => Column::Started,
        }
    }
}

/// Chooses the columns that fit side by side, by rank, and gives each its width.
pub(crate) fn fit(columns: &[(Column, u8)], width: u16) -> Vec<(Column, u16)> {
    let mut by_rank: Vec<_> = columns.to_vec();
    by_rank.sort_by_key(|(_, rank)| *rank);
    let mut left = i32::from(width) + 1;
    let mut last_rank = None;
    for (column, rank) in by_rank {
        let needed = i32::from(column.width().0) + 1;
        // At least one column is there, however narrow it is.
        if needed > left && last_rank.is_some() {
            break;
        }
        left -= needed;
        last_rank = Some(rank);
    }
    // Of the columns of the lowest rank all are there.
    let last_rank = last_rank.unwrap_or(0);
    let mut fitting: Vec<(Column, u16)> = columns
        .iter()
        .filter(|(_, rank)| *rank <= last_rank)
        .map(|(column, _)| (*column, column.width().0))
        .collect();
    let left = u16::try_from(left.max(0)).unwrap_or(0);
    // The names take half of what is left at most, where there is a text for the rest.
    let is_text = |column: Column| matches!(column, Column::Text | Column::Message);
    let share = if fitting.iter().any(|(column, _)| is_text(*column)) {
        left / 2
    } else {
        left
    };
    let mut of_names = share;
    for wide in [
        Column::Model,
        Column::Agent,
        Column::Code,
        Column::Provider,
        Column::Finish,
    ] {
        if let Some((column, width)) = fitting.iter_mut().find(|(column, _)| *column == wide) {
            let more = of_names.min(column.width().1 - *width);
            *width += more;
            of_names -= more;
        }
    }
    let rest = left - (share - of_names);
    if let Some((_, width)) = fitting.iter_mut().find(|(column, _)| is_text(*column)) {
        *width += rest;
    }
    fitting
}
