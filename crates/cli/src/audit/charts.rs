//! The charts of an access log, as SVG.

use plotters::prelude::*;

use super::signs::is_sign;
use super::tally::{Counts, Tally};
use crate::Failure;

/// The size of a chart, in pixels.
const SIZE: (u32, u32) = (900, 280);
/// Grey that is readable on light and on dark pages.
const GREY: RGBColor = RGBColor(128, 128, 128);
const GREEN: RGBColor = RGBColor(46, 160, 67);
const AMBER: RGBColor = RGBColor(210, 153, 34);
const RED: RGBColor = RGBColor(218, 54, 51);
const PURPLE: RGBColor = RGBColor(137, 87, 229);
/// The number of reasons in a chart.
const MAX_BARS: usize = 12;

/// What a line of a chart counts.
type Series = (&'static str, RGBColor, fn(Counts) -> usize);

/// Requests over time. `None` if no line has a time.
pub(super) fn over_time(tally: &Tally) -> Result<Option<String>, Failure> {
    let parts = tally.over_time();
    let (Some((first, _)), Some((last, _))) = (parts.first(), parts.last()) else {
        return Ok(None);
    };
    let series: [Series; 4] = [
        ("approved", GREEN, |counts| counts.approved),
        ("need the caller", AMBER, |counts| counts.needs_review),
        ("refused", RED, |counts| counts.refused),
        ("signs of attacks", PURPLE, |counts| counts.signs),
    ];
    let highest = parts
        .iter()
        .flat_map(|(_, counts)| series.iter().map(|(_, _, of)| of(*counts)));
    let highest = highest.max().unwrap_or(0).max(1);
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let mut chart = ChartBuilder::on(&area)
            .margin(10)
            .x_label_area_size(30)
            .y_label_area_size(50)
            .build_cartesian_2d(*first..last.saturating_add(1), 0..highest.saturating_add(1))
            .map_err(cannot_draw)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .axis_style(GREY)
            .light_line_style(GREY.mix(0.1))
            .bold_line_style(GREY.mix(0.3))
            .label_style(("sans-serif", 13).into_font().color(&GREY))
            .x_labels(6)
            .x_label_formatter(&|seconds| clock(*seconds))
            .y_label_formatter(&|number| number.to_string())
            .draw()
            .map_err(cannot_draw)?;
        for (label, colour, of) in series {
            let points = parts.iter().map(|(start, counts)| (*start, of(*counts)));
            let line = LineSeries::new(points, colour.stroke_width(2)).point_size(2);
            let drawn = chart.draw_series(line).map_err(cannot_draw)?;
            drawn.label(label).legend(move |(x, y)| {
                PathElement::new([(x, y), (x.saturating_add(18), y)], colour.stroke_width(3))
            });
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .label_font(("sans-serif", 13).into_font().color(&GREY))
            .draw()
            .map_err(cannot_draw)?;
        area.present().map_err(cannot_draw)?;
    }
    Ok(Some(svg))
}

/// The most frequent reasons. `None` if all requests were approved.
pub(super) fn reasons(tally: &Tally) -> Result<Option<String>, Failure> {
    let mut reasons = tally.sorted_reasons();
    reasons.truncate(MAX_BARS);
    let highest = reasons.iter().map(|(_, number)| *number).max();
    let Some(highest) = highest else {
        return Ok(None);
    };
    let names: Vec<String> = reasons
        .iter()
        .rev()
        .map(|(code, _)| (*code).to_owned())
        .collect();
    let rows = i32::try_from(reasons.len()).unwrap_or(0);
    let height = u32::try_from(reasons.len())
        .unwrap_or(0)
        .saturating_mul(24)
        .saturating_add(60);
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (SIZE.0, height)).into_drawing_area();
        let mut chart = ChartBuilder::on(&area)
            .margin(10)
            .x_label_area_size(30)
            .y_label_area_size(240)
            .build_cartesian_2d(
                0..highest.saturating_add(1),
                (0..rows.saturating_sub(1)).into_segmented(),
            )
            .map_err(cannot_draw)?;
        let name = |position: &SegmentValue<i32>| match position {
            SegmentValue::CenterOf(row) => {
                let row = usize::try_from(*row).unwrap_or(usize::MAX);
                names.get(row).cloned().unwrap_or_default()
            }
            SegmentValue::Exact(_) | SegmentValue::Last => String::new(),
        };
        chart
            .configure_mesh()
            .disable_y_mesh()
            .axis_style(GREY)
            .light_line_style(GREY.mix(0.1))
            .bold_line_style(GREY.mix(0.3))
            .label_style(("sans-serif", 13).into_font().color(&GREY))
            .y_labels(reasons.len())
            .y_label_formatter(&name)
            .draw()
            .map_err(cannot_draw)?;
        for (row, (code, number)) in (0..rows).zip(reasons.iter().rev()) {
            let colour = if is_sign(code) { PURPLE } else { RED };
            let corners = [
                (0, SegmentValue::Exact(row)),
                (*number, SegmentValue::Exact(row.saturating_add(1))),
            ];
            let mut bar = Rectangle::new(corners, colour.filled());
            bar.set_margin(4, 4, 0, 0);
            chart.draw_series([bar]).map_err(cannot_draw)?;
        }
        area.present().map_err(cannot_draw)?;
    }
    Ok(Some(svg))
}

/// The date and time without seconds, in UTC.
fn clock(seconds: u64) -> String {
    let time =
        std::time::SystemTime::UNIX_EPOCH.checked_add(std::time::Duration::from_secs(seconds));
    let text = time.map(|time| humantime::format_rfc3339_seconds(time).to_string());
    let text = text.unwrap_or_default();
    let (date, clock) = text.split_once('T').unwrap_or_default();
    format!(
        "{} {}",
        date.get(5..).unwrap_or_default(),
        clock.get(..8).unwrap_or_default()
    )
}

fn cannot_draw(error: impl std::fmt::Display) -> Failure {
    Failure::usage(
        format!("the chart cannot be drawn: {error}"),
        "report this as a bug",
    )
}
