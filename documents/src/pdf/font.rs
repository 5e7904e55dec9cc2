//! What a line of text looks like, and how wide it is.

use std::sync::LazyLock;

use krilla::text::{Font, GlyphId, KrillaGlyph};
use skrifa::{
    FontRef, MetadataProvider,
    charmap::Charmap,
    instance::{LocationRef, Size},
    metrics::GlyphMetrics,
};
use unicode_bidi::{BidiInfo, Level};
use unicode_normalization::char::is_combining_mark;

static REGULAR: &[u8] = include_bytes!("../../fonts/DejaVuSans.ttf");
static BOLD: &[u8] = include_bytes!("../../fonts/DejaVuSans-Bold.ttf");

/// How heavy a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    Regular,
    Bold,
}

struct Face {
    font: Font,
    characters: Charmap<'static>,
    metrics: GlyphMetrics<'static>,
    units_per_em: f32,
}

impl Face {
    fn new(bytes: &'static [u8]) -> Self {
        let font = Font::new(bytes.into(), 0).expect("the font is a constant of the program, and a test draws with it");
        let outlines = FontRef::new(bytes).expect("krilla has just read the same bytes with the same library");
        let metrics = outlines.glyph_metrics(Size::unscaled(), LocationRef::default());
        Self { characters: outlines.charmap(), metrics, units_per_em: font.units_per_em(), font }
    }

    fn glyph(&self, c: char) -> Option<u32> {
        self.characters.map(c).map(|glyph| glyph.to_u32()).filter(|glyph| *glyph != 0)
    }

    fn missing(&self) -> u32 {
        self.glyph(MISSING).unwrap_or(0)
    }

    /// In ems.
    fn advance(&self, glyph: u32) -> f32 {
        self.metrics.advance_width(skrifa::GlyphId::new(glyph)).unwrap_or(0.0) / self.units_per_em
    }
}

static FACES: LazyLock<[Face; 2]> = LazyLock::new(|| [Face::new(REGULAR), Face::new(BOLD)]);

/// What is drawn for a character that no font has: both weights have this square. Not glyph 0, the one that fonts keep for this,
/// since readers leave out its text when they copy.
const MISSING: char = '\u{25a1}';

/// The font that has a character, and the glyph: the wanted weight, else the other, else the square of the wanted one.
fn find(c: char, weight: Weight) -> (usize, u32) {
    let (wanted, other) = match weight {
        Weight::Regular => (0, 1),
        Weight::Bold => (1, 0),
    };
    let found = [wanted, other].into_iter().find_map(|face| FACES[face].glyph(c).map(|glyph| (face, glyph)));
    found.unwrap_or_else(|| (wanted, FACES[wanted].missing()))
}

/// Characters that are seen only in what they do to others (Unicode's Default_Ignorable_Code_Point, as far as names and titles
/// have them). A font without them would draw a box between the parts of an emoji.
const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// How wide a text is, in ems: times the size in points, it is points.
pub(super) fn width_em(text: &str, weight: Weight) -> f32 {
    let visible = text.chars().filter(|c| !is_invisible(*c));
    visible.map(|c| find(c, weight)).map(|(face, glyph)| FACES[face].advance(glyph)).sum()
}

/// Glyphs of one font that stand side by side.
pub(super) struct Run {
    pub(super) font: Font,
    /// What they say, in the order in which it is read.
    pub(super) text: String,
    /// In the order in which they stand, from the left.
    pub(super) glyphs: Vec<KrillaGlyph>,
    /// In ems.
    pub(super) width: f32,
}

/// A line as glyphs, from the left to the right.
pub(super) fn runs(line: &str, weight: Weight) -> Vec<Run> {
    let bidi = BidiInfo::new(line, Some(Level::ltr()));
    let mut runs = Vec::new();
    for paragraph in &bidi.paragraphs {
        let (levels, pieces) = bidi.visual_runs(paragraph, paragraph.range.clone());
        for piece in pieces {
            let right_to_left = levels[piece.start].is_rtl();
            push_piece(&mut runs, &line[piece], weight, right_to_left);
        }
    }
    runs
}

/// Adds a piece of one direction.
fn push_piece(runs: &mut Vec<Run>, piece: &str, weight: Weight, right_to_left: bool) {
    let mut clusters = clusters(piece);
    if right_to_left {
        clusters.reverse();
    }
    let mut current: Option<(usize, Run)> = None;
    for cluster in clusters {
        let base = cluster.chars().next().map_or(0, |c| find(c, weight).0);
        if current.as_ref().is_none_or(|(face, _)| *face != base) {
            runs.extend(current.take().map(|(_, run)| run));
            let font = FACES[base].font.clone();
            current = Some((base, Run { font, text: String::new(), glyphs: Vec::new(), width: 0.0 }));
        }
        let Some((face, run)) = &mut current else { continue };
        let range = run.text.len()..run.text.len() + cluster.len();
        run.text.push_str(cluster);
        for c in cluster.chars() {
            let c = if right_to_left { mirrored(c) } else { c };
            let missing = || (!is_combining_mark(c)).then(|| FACES[*face].missing());
            // A mark that the letter's font lacks is left out: from another font it would stand beside the letter, and a square
            // would take the place of the next one.
            let Some(glyph) = FACES[*face].glyph(c).or_else(missing) else { continue };
            let advance = FACES[*face].advance(glyph);
            run.width += advance;
            run.glyphs.push(KrillaGlyph::new(GlyphId::new(glyph), advance, 0.0, 0.0, 0.0, range.clone(), None));
        }
    }
    runs.extend(current.map(|(_, run)| run));
}

/// Every visible character with the marks that stand on it.
pub(super) fn clusters(text: &str) -> Vec<&str> {
    let mut clusters: Vec<(usize, usize)> = Vec::new();
    for (at, c) in text.char_indices().filter(|(_, c)| !is_invisible(*c)) {
        let end = at + c.len_utf8();
        match clusters.last_mut() {
            Some(last) if is_combining_mark(c) && last.1 == at => last.1 = end,
            _ => clusters.push((at, end)),
        }
    }
    clusters.into_iter().map(|(start, end)| &text[start..end]).collect()
}

/// The other bracket (UAX #9 rule L4), for those that titles have.
const fn mirrored(c: char) -> char {
    match c {
        '(' => ')',
        ')' => '(',
        '[' => ']',
        ']' => '[',
        '{' => '}',
        '}' => '{',
        '<' => '>',
        '>' => '<',
        '«' => '»',
        '»' => '«',
        c => c,
    }
}

/// Breaks a text into lines of at most `width` points: between words, or within one that is wider than a line. What is left after
/// `max_lines` is cut, and the last line says so with an ellipsis.
pub(super) fn wrap(text: &str, weight: Weight, size: f32, width: f32, max_lines: usize) -> Vec<String> {
    let (limit, space) = (width / size, width_em(" ", weight));
    let mut lines: Vec<String> = Vec::new();
    let (mut line, mut used) = (String::new(), 0.0);
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let wide = width_em(word, weight);
        if line.is_empty() {
            used = 0.0;
        } else if used + space + wide <= limit {
            line.push(' ');
            used += space;
        } else {
            lines.push(std::mem::take(&mut line));
            used = 0.0;
        }
        if used + wide <= limit {
            line.push_str(word);
            used += wide;
            continue;
        }
        for cluster in clusters(word) {
            let wide = width_em(cluster, weight);
            if used + wide > limit && !line.is_empty() {
                lines.push(std::mem::take(&mut line));
                used = 0.0;
            }
            line.push_str(cluster);
            used += wide;
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    if lines.len() > max_lines {
        lines.truncate(max_lines);
        if let Some(last) = lines.last_mut() {
            *last = with_ellipsis(last, weight, limit);
        }
    }
    lines
}

fn with_ellipsis(line: &str, weight: Weight, limit: f32) -> String {
    let mut kept = clusters(line);
    loop {
        let cut = format!("{}…", kept.concat().trim_end());
        if kept.is_empty() || width_em(&cut, weight) <= limit {
            return cut;
        }
        kept.pop();
    }
}
