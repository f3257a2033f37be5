//! Drawings.

#![allow(clippy::cast_possible_truncation, reason = "pixels are few")]

use std::{fs, path::Path};

use plotters::{
    element::{Drawable, PointCollection},
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use super::goal::short;

const INK: RGBColor = RGBColor(0x24, 0x29, 0x2f);
const FAINT: RGBColor = RGBColor(0xd8, 0xde, 0xe4);
const GREY: RGBColor = RGBColor(0x9a, 0xa5, 0xb1);
const PALETTE: [RGBColor; 6] = [
    RGBColor(0x1f, 0x6f, 0xb4),
    RGBColor(0xd9, 0x7b, 0x29),
    RGBColor(0x4b, 0x8f, 0x5c),
    RGBColor(0x8a, 0x5a, 0x9e),
    RGBColor(0xb5, 0x4a, 0x4a),
    RGBColor(0x6b, 0x72, 0x80),
];

const WIDTH: i32 = 760;
const MARGIN: i32 = 24;
const TITLE_HEIGHT: i32 = 56;
const TEXT: i32 = 14;

type Canvas<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

/// One horizontal bar for each value. The first one is what the others stand beside.
pub(crate) fn bars(path: &Path, title: &str, unit: &str, values: &[(&str, f64)]) {
    const ROW: i32 = 34;
    let height = TITLE_HEIGHT + ROW * values.len() as i32 + MARGIN / 2;
    let canvas = canvas(path, title, height);
    let labels = values.iter().map(|(label, _)| text_width(label)).max();
    let left = MARGIN + labels.unwrap_or(0) + 12;
    // The longest bar leaves room for its value.
    let room = WIDTH - MARGIN - left - text_width(&format!("0,000 {unit}"));
    let longest = values.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    for (row, (label, value)) in values.iter().enumerate() {
        let middle = TITLE_HEIGHT + ROW * row as i32 + ROW / 2;
        let right = left + (value.max(0.0) / longest * f64::from(room)).round() as i32;
        let color = if row == 0 { PALETTE[0] } else { GREY };
        let bar = Rectangle::new([(left, middle - 10), (right, middle + 10)], color.filled());
        draw(&canvas, &bar);
        write(&canvas, label, (left - 12, middle), HPos::Right);
        let value = format!("{} {unit}", short(*value));
        write(&canvas, &value, (right + 8, middle), HPos::Left);
    }
    let ends = [
        (left, TITLE_HEIGHT),
        (left, TITLE_HEIGHT + ROW * values.len() as i32),
    ];
    draw(&canvas, &PathElement::new(ends, INK));
    canvas.present().expect("the figure is written");
}

/// A line for each series, over a logarithmic x. The y axis begins at 0.
pub(crate) fn lines(
    path: &Path,
    title: &str,
    x_label: &str,
    y_label: &str,
    series: &[(&str, Vec<(f64, f64)>)],
) {
    const LEGEND_HEIGHT: i32 = 30;
    let canvas = canvas(path, title, 460);
    legend(&canvas, series.iter().map(|(label, _)| *label));
    let (_, plot) = canvas.split_vertically(TITLE_HEIGHT + LEGEND_HEIGHT);

    let points = || series.iter().flat_map(|(_, points)| points);
    let first = points().map(|(x, _)| *x).fold(f64::INFINITY, f64::min);
    let last = points().map(|(x, _)| *x).fold(0.0, f64::max);
    let highest = points().map(|(_, y)| *y).fold(0.0, f64::max);
    let mut chart = ChartBuilder::on(&plot)
        .margin_left(MARGIN / 2)
        .margin_right(MARGIN + 8)
        .margin_bottom(MARGIN / 2)
        .x_label_area_size(48)
        .y_label_area_size(64)
        .build_cartesian_2d((first..last).log_scale(), 0.0..highest * 1.1)
        .expect("axes");
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(WHITE)
        .bold_line_style(FAINT)
        .axis_style(INK)
        .label_style(style(TEXT - 1))
        .axis_desc_style(style(TEXT))
        .x_desc(x_label)
        .y_desc(y_label)
        .x_label_formatter(&|x| thousands(*x))
        .y_label_formatter(&|y| short(*y))
        .draw()
        .expect("a mesh");
    for (number, (_, points)) in series.iter().enumerate() {
        let color = color(number);
        let line = LineSeries::new(points.iter().copied(), color.stroke_width(2));
        chart.draw_series(line).expect("a line");
        let dots = points.iter().map(|at| Circle::new(*at, 3, color.filled()));
        chart.draw_series(dots).expect("dots");
    }
    drop(chart);
    canvas.present().expect("the figure is written");
}

fn canvas<'a>(path: &'a Path, title: &str, height: i32) -> Canvas<'a> {
    let folder = path.parent().expect("a figure has a folder");
    fs::create_dir_all(folder).expect("a folder for figures");
    let size = (WIDTH.unsigned_abs(), height.unsigned_abs());
    let canvas = SVGBackend::new(path, size).into_drawing_area();
    canvas.fill(&WHITE).expect("a background");
    let font = ("sans-serif", TEXT + 4, FontStyle::Bold).into_font();
    let style = font.color(&INK).pos(Pos::new(HPos::Left, VPos::Center));
    draw(
        &canvas,
        &Text::new(title.to_owned(), (MARGIN, TITLE_HEIGHT / 2), style),
    );
    canvas
}

fn legend<'a>(canvas: &Canvas<'_>, labels: impl Iterator<Item = &'a str>) {
    let middle = TITLE_HEIGHT + 8;
    let mut left = MARGIN;
    for (number, label) in labels.enumerate() {
        let square = [(left, middle - 5), (left + 10, middle + 5)];
        draw(canvas, &Rectangle::new(square, color(number).filled()));
        write(canvas, label, (left + 16, middle), HPos::Left);
        left += 16 + text_width(label) + 20;
    }
}

fn color(number: usize) -> RGBColor {
    PALETTE[number % PALETTE.len()]
}

fn write(canvas: &Canvas<'_>, text: &str, at: (i32, i32), anchor: HPos) {
    let style = style(TEXT).pos(Pos::new(anchor, VPos::Center));
    draw(canvas, &Text::new(text.to_owned(), at, style));
}

fn style(size: i32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&INK)
}

fn draw<'a, 'b, E>(canvas: &Canvas<'b>, element: &'a E)
where
    &'a E: PointCollection<'a, (i32, i32)>,
    E: Drawable<SVGBackend<'b>>,
{
    canvas.draw(element).expect("an element is drawn");
}

/// As wide as a text gets in the fonts that one meets.
fn text_width(text: &str) -> i32 {
    text.chars().count() as i32 * TEXT * 4 / 7
}

/// 1000 as 1,000; what is not whole as it is.
fn thousands(value: f64) -> String {
    let digits = short(value);
    if value < 1_000.0 {
        return digits;
    }
    let groups = digits.as_bytes().rchunks(3).rev();
    let groups: Vec<_> = groups.map(String::from_utf8_lossy).collect();
    groups.join(",")
}
