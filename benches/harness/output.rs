//! Prints Markdown tables and goals, and draws charts.

use std::{collections::BTreeMap, error::Error, process::ExitCode};

use plotters::{
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use super::{Reports, cases::BEYOND, profile};

const BLUE: RGBColor = RGBColor(0x1f, 0x6f, 0xb4);
const GREY: RGBColor = RGBColor(0x9a, 0xa5, 0xb1);

/// Prints a table. `head` contains the names of the columns. All columns but the first `texts` are numbers.
pub(crate) fn table(title: &str, texts: usize, head: &str, rows: &[Vec<String>]) {
    let numbers = head.split(" | ").count() - texts;
    println!("{title}\n\n| {head} |");
    println!("|{}{}", "---|".repeat(texts), "--:|".repeat(numbers));
    for row in rows {
        println!("| {} |", row.join(" | "));
    }
    println!();
}

impl Reports {
    /// Prints one row per name, with the figures that `head` names after the first column.
    pub(crate) fn table(&self, title: &str, head: &str, names: &[impl AsRef<str>]) {
        let figures: Vec<_> = head.split(" | ").skip(1).collect();
        let rows = names.iter().map(|name| {
            let name = name.as_ref();
            [vec![name.to_owned()], self.row(name, &figures)].concat()
        });
        table(title, 1, head, &rows.collect::<Vec<_>>());
    }

    pub(crate) fn row(&self, name: &str, figures: &[&str]) -> Vec<String> {
        let values = figures.iter().map(|figure| self.get(name, figure));
        values.map(number).collect()
    }

    /// Draws a bar chart of each case's time over the bare service. The first case is the reference.
    pub(crate) fn draw(
        &self,
        path: &str,
        title: &str,
        names: &[impl AsRef<str>],
    ) -> Result<(), Box<dyn Error>> {
        let values = names.iter().map(|name| self.get(name.as_ref(), BEYOND));
        let values: Vec<_> = values.collect();
        let longest = values.iter().copied().fold(0.0, f64::max);
        let height = 80 + 34 * names.len() as u32;
        let canvas = SVGBackend::new(path, (760, height)).into_drawing_area();
        canvas.fill(&WHITE)?;
        let chart = ChartBuilder::on(&canvas)
            .caption(title, ("sans-serif", 18))
            .margin(12)
            .y_label_area_size(250)
            // The longest bar leaves space for its value.
            .build_cartesian_2d(0.0..longest * 1.2, names.len() as f64..0.0)?;
        let plot = chart.plotting_area();
        let write = |text: &str, at, offset, anchor| {
            let style = ("sans-serif", 14).into_font().color(&BLACK);
            let style = style.pos(Pos::new(anchor, VPos::Center));
            plot.draw(&(EmptyElement::at(at) + Text::new(text.to_owned(), (offset, 0), style)))
        };
        for (row, (name, value)) in names.iter().zip(values).enumerate() {
            let middle = row as f64 + 0.5;
            let color = if row == 0 { BLUE } else { GREY };
            let ends = [(0.0, middle - 0.3), (value, middle + 0.3)];
            plot.draw(&Rectangle::new(ends, color.filled()))?;
            write(name.as_ref(), (0.0, middle), -8, HPos::Right)?;
            let text = format!("{} ns", number(value));
            write(&text, (value, middle), 8, HPos::Left)?;
        }
        Ok(canvas.present()?)
    }
}

/// Formats a number with three significant digits, or all digits if it is large or an integer, with a comma
/// between thousands.
pub(crate) fn number(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 100.0 || size.fract() == 0.0 => 0,
        10.0.. => 1,
        _ => 2,
    };
    let text = format!("{value:.decimals$}");
    if value.abs() < 1_000.0 {
        return text;
    }
    let groups = text.as_bytes().rchunks(3).rev();
    let groups: Vec<_> = groups.map(String::from_utf8_lossy).collect();
    groups.join(",").replace("-,", "-")
}

/// The goals of this run and their values.
#[derive(Default)]
pub(crate) struct Goals {
    lines: Vec<String>,
    pub(crate) has_missed_gate: bool,
}

impl Goals {
    /// Compares a value with the goal of this name in `goals.toml`.
    pub(crate) fn set(&mut self, name: &str, value: f64) {
        let goals = toml::from_str(include_str!("../goals.toml"));
        let goals: BTreeMap<String, BTreeMap<String, [f64; 2]>> = goals.expect("limits by name");
        let full_name = format!("{name}, {}", profile());
        let find = |sign| goals[sign].get(&full_name).or(goals[sign].get(name));
        let is_lowest = find(">=").is_some();
        let sign = if is_lowest { ">=" } else { "<=" };
        let is_met = if is_lowest { f64::ge } else { f64::le };
        let text = |limit| match is_met(&value, &limit) {
            _ if limit == f64::INFINITY => "none met".to_owned(),
            true => format!("{sign}{limit} met"),
            false => format!("{sign}{limit} missed"),
        };
        let [gate, aim] = *find(sign).unwrap_or_else(|| panic!("no goal is named {name:?}"));
        self.has_missed_gate |= !is_met(&value, &gate);
        let (value, gate, aim) = (number(value), text(gate), text(aim));
        let line = format!("goal: {full_name} {value} gate {gate} aim {aim}");
        self.lines.push(line);
    }

    /// Prints one line per goal. Fails if a gate was missed.
    pub(crate) fn print(&self) -> ExitCode {
        println!("{}", self.lines.join("\n"));
        ExitCode::from(u8::from(self.has_missed_gate))
    }
}
