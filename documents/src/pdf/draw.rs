//! A page's items, said to krilla.

use krilla::{
    action::{Action, LinkAction},
    annotation::{Annotation, LinkAnnotation, Target},
    color::rgb,
    geom::{PathBuilder, Point, Rect, Transform},
    num::NormalizedF32,
    page::Page,
    paint::{Fill, FillRule},
    surface::Surface,
};

use super::{
    PAGE_WIDTH_PT,
    font::runs,
    layout::{Ink, Item, MARGIN_PT},
};

const RULE_HEIGHT_PT: f32 = 0.75;

/// Draws a page.
pub(super) fn page(page: &mut Page<'_>, items: &[Item]) {
    let mut surface = page.surface();
    for item in items {
        match item {
            Item::Text { x, baseline, size, weight, ink, text } => {
                surface.set_fill(Some(fill(*ink)));
                let mut x = *x;
                for run in runs(text, *weight) {
                    let start = Point::from_xy(x, *baseline);
                    surface.draw_glyphs(start, &run.glyphs, run.font, &run.text, *size, false);
                    x += run.width * size;
                }
            }
            Item::Rule { y } => {
                let mut path = PathBuilder::new();
                push_rect(&mut path, MARGIN_PT, *y, PAGE_WIDTH_PT - 2.0 * MARGIN_PT, RULE_HEIGHT_PT);
                fill_path(&mut surface, path, Ink::Grey);
            }
            Item::Qr { x, y, side, modules, dark } => {
                qr(&mut surface, (*x, *y), side / *modules as f32, *modules, dark)
            }
            Item::Link { .. } => {}
        }
    }
    surface.finish();
    for item in items {
        if let Item::Link { x, y, width, height, target } = item {
            let Some(place) = Rect::from_xywh(*x, *y, *width, *height) else { continue };
            let target = Target::Action(Action::Link(LinkAction::new(target.clone())));
            page.add_annotation(Annotation::new_link(LinkAnnotation::new(place, target), None));
        }
    }
}

/// One path of rectangles, a run of dark modules each: sharp at every size, and no seams between them as pictures get. In
/// units of modules, so that the file has small whole numbers in it.
fn qr(surface: &mut Surface<'_>, (left, top): (f32, f32), module: f32, modules: usize, dark: &[bool]) {
    let mut path = PathBuilder::new();
    for (row, line) in dark.chunks(modules).enumerate() {
        let mut x = 0;
        while x < line.len() {
            let run = line[x..].iter().take_while(|dark| **dark).count();
            if run > 0 {
                push_rect(&mut path, x as f32, row as f32, run as f32, 1.0);
            }
            x += run.max(1);
        }
    }
    surface.push_transform(&Transform::from_row(module, 0.0, 0.0, module, left, top));
    fill_path(surface, path, Ink::Black);
    surface.pop();
}

fn push_rect(path: &mut PathBuilder, x: f32, y: f32, width: f32, height: f32) {
    if let Some(rect) = Rect::from_xywh(x, y, width, height) {
        path.push_rect(rect);
    }
}

fn fill_path(surface: &mut Surface<'_>, path: PathBuilder, ink: Ink) {
    if let Some(path) = path.finish() {
        surface.set_fill(Some(fill(ink)));
        surface.draw_path(&path);
    }
}

fn fill(ink: Ink) -> Fill {
    let paint = match ink {
        Ink::Black => rgb::Color::black(),
        Ink::Grey => rgb::Color::new(0x5c, 0x63, 0x6e),
    };
    Fill { paint: paint.into(), opacity: NormalizedF32::ONE, rule: FillRule::NonZero }
}
