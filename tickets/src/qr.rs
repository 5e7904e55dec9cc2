//! A code as a picture: QR, error correction level M, with the quiet zone of four modules that ISO/IEC 18004 asks for.

use qrcode::{Color, EcLevel, QrCode};

/// The quiet zone on each side, in modules (ISO/IEC 18004 section 9.1).
const QUIET_MODULES: usize = 4;
/// The size of a module, in pixels: large enough for any phone's camera off any screen, small enough for a mail.
const MODULE_PIXELS: usize = 8;
/// The least width of a PNG in pixels; a symbol of few modules gets larger ones.
pub const MIN_PNG_PIXELS: usize = 300;

/// The text has more characters than a QR code at level M holds (3,391 of the alphanumeric set, 2,331 bytes).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text is too long for a QR code")]
pub struct QrError;

/// The modules of a symbol with its quiet zone, row by row, true where dark.
struct Symbol {
    width: usize,
    dark: Vec<bool>,
}

impl Symbol {
    fn of(text: &str) -> Result<Self, QrError> {
        let code = QrCode::with_error_correction_level(text, EcLevel::M).map_err(|_| QrError)?;
        let (inner, width) = (code.width(), code.width() + 2 * QUIET_MODULES);
        let mut dark = vec![false; width * width];
        for y in 0..inner {
            for x in 0..inner {
                dark[(y + QUIET_MODULES) * width + x + QUIET_MODULES] = code[(x, y)] == Color::Dark;
            }
        }
        Ok(Self { width, dark })
    }

    fn row(&self, y: usize) -> &[bool] {
        &self.dark[y * self.width..(y + 1) * self.width]
    }
}

/// The QR code as an SVG document, which may also stand inside a page. One unit is one module.
///
/// # Errors
/// [`QrError`].
pub fn qr_svg(text: &str) -> Result<String, QrError> {
    let symbol = Symbol::of(text)?;
    let mut path = String::new();
    for y in 0..symbol.width {
        let row = symbol.row(y);
        let mut x = 0;
        while x < row.len() {
            let run = row[x..].iter().take_while(|dark| **dark).count();
            if run > 0 {
                path.push_str(&format!("M{x} {y}h{run}v1h-{run}z"));
            }
            x += run.max(1);
        }
    }
    let (width, pixels) = (symbol.width, symbol.width * MODULE_PIXELS);
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{pixels}\" height=\"{pixels}\" viewBox=\"0 0 {width} {width}\" \
         shape-rendering=\"crispEdges\" role=\"img\" aria-label=\"QR code\">\
         <path fill=\"#fff\" d=\"M0 0h{width}v{width}h-{width}z\"/><path fill=\"#000\" d=\"{path}\"/></svg>"
    ))
}

/// The QR code as a PNG of one bit a pixel, at least [`MIN_PNG_PIXELS`] wide.
///
/// # Errors
/// [`QrError`].
pub fn qr_png(text: &str) -> Result<Vec<u8>, QrError> {
    let symbol = Symbol::of(text)?;
    let scale = MODULE_PIXELS.max(MIN_PNG_PIXELS.div_ceil(symbol.width));
    let pixels = symbol.width * scale;
    let mut image = Vec::with_capacity(pixels * pixels.div_ceil(8));
    for y in 0..symbol.width {
        let mut line = vec![0_u8; pixels.div_ceil(8)];
        for (x, _) in symbol.row(y).iter().enumerate().filter(|(_, dark)| !**dark) {
            // One is white; bits are left over at the end of a line only beyond the quiet zone.
            for pixel in x * scale..(x + 1) * scale {
                line[pixel / 8] |= 0x80 >> (pixel % 8);
            }
        }
        for _ in 0..scale {
            image.extend_from_slice(&line);
        }
    }
    Ok(write_png(u32::try_from(pixels).expect("a QR code has at most 185 modules"), &image))
}

fn write_png(pixels: u32, image: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, pixels, pixels);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::One);
    let written = encoder.write_header().and_then(|mut writer| {
        writer.write_image_data(image)?;
        writer.finish()
    });
    written.expect("the image has the size that its header says, and writing to memory cannot fail");
    file
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The grey pixels of a PNG of ours.
    fn read_png(file: &[u8]) -> (usize, Vec<u8>) {
        let mut decoder = png::Decoder::new(std::io::Cursor::new(file));
        decoder.set_transformations(png::Transformations::EXPAND);
        let mut reader = decoder.read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.color_type), (info.height, png::ColorType::Grayscale));
        (info.width as usize, pixels)
    }

    /// The grey pixels of an SVG of ours, one a module: the path of what is dark, drawn.
    fn read_svg(svg: &str) -> (usize, Vec<u8>) {
        let between = |from: &str, to: &str| svg.split_once(from).unwrap().1.split_once(to).unwrap().0.to_owned();
        let width: usize = between("viewBox=\"0 0 ", " ").parse().unwrap();
        let mut pixels = vec![255; width * width];
        for run in between("fill=\"#000\" d=\"", "\"").split_terminator('z') {
            let (x, rest) = run.strip_prefix('M').unwrap().split_once(' ').unwrap();
            let (y, rest) = rest.split_once('h').unwrap();
            let (length, _) = rest.split_once('v').unwrap();
            let start = y.parse::<usize>().unwrap() * width + x.parse::<usize>().unwrap();
            pixels[start..start + length.parse::<usize>().unwrap()].fill(0);
        }
        (width, pixels)
    }

    fn decode((width, pixels): (usize, Vec<u8>), scale: usize) -> (rqrr::MetaData, String) {
        let grey = |x: usize, y: usize| pixels[y / scale * width + x / scale];
        let mut image = rqrr::PreparedImage::prepare_from_greyscale(width * scale, width * scale, grey);
        let grids = image.detect_grids();
        assert_eq!(grids.len(), 1);
        grids[0].decode().unwrap()
    }

    fn is_quiet(width: usize, pixels: &[u8], quiet: usize) -> bool {
        let inside = quiet..width - quiet;
        let border = (0..width * width).filter(|at| !inside.contains(&(at % width)) || !inside.contains(&(at / width)));
        border.into_iter().all(|at| pixels[at] == 255)
    }

    #[test]
    fn a_code_is_a_symbol_of_version_6_and_the_rotating_form_of_version_7() {
        for (length, version, modules) in [(149, 6, 41), (169, 7, 45)] {
            let text: String = "TKZ1:".chars().chain("A2B3C4D5E6F7GHIJ".chars().cycle()).take(length).collect();
            let (width, pixels) = read_png(&qr_png(&text).unwrap());
            assert_eq!(width, (modules + 2 * QUIET_MODULES) * MODULE_PIXELS);
            assert!(width >= MIN_PNG_PIXELS);
            assert!(is_quiet(width, &pixels, QUIET_MODULES * MODULE_PIXELS));
            let (meta, read) = decode((width, pixels), 1);
            assert_eq!((meta.version.0, read), (version, text.clone()));
            // Level M is 0 in the format bits (ISO/IEC 18004 table 12).
            assert_eq!(meta.ecc_level, 0);
            let (width, pixels) = read_svg(&qr_svg(&text).unwrap());
            assert!(width == modules + 2 * QUIET_MODULES && is_quiet(width, &pixels, QUIET_MODULES));
            assert_eq!(decode((width, pixels), 5).1, text);
        }
    }

    #[test]
    fn what_no_symbol_holds_is_an_error() {
        assert_eq!(qr_png(&"A".repeat(3_392)), Err(QrError));
        assert_eq!(qr_svg(&"a".repeat(2_332)), Err(QrError));
        assert!(qr_svg(&"A".repeat(3_391)).is_ok());
        assert!(read_png(&qr_png("1").unwrap()).0 >= MIN_PNG_PIXELS);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn another_reader_reads_what_was_drawn(text in "TKZ1:[A-Z2-7]{144}") {
            prop_assert_eq!(decode(read_png(&qr_png(&text).unwrap()), 1).1, text);
        }
    }
}
