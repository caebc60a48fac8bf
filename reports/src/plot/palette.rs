//! The colours, in light and dark. Outcomes keep the hues that Jepsen's users know (blue, orange, pink),
//! darkened until they tell apart on white and for colour-blind eyes; shapes repeat what colours say.

use plotters::style::RGBColor;

/// A light colour; [`DARK`] names its twin.
pub type Colour = &'static str;

/// Operations that ended `ok`.
pub const OK: Colour = "#2f74b5";
/// Operations that ended `fail`.
pub const FAIL: Colour = "#c2337a";
/// Operations that ended `info`.
pub const INFO: Colour = "#b86e00";
/// Text of axes.
pub const TEXT: Colour = "#5b6470";
/// Lines of the mesh.
pub const MESH: Colour = "#e6e9ed";
/// Quantiles, from the median outwards.
pub const QUANTILES: [Colour; 4] = ["#2f74b6", "#5a9a3c", "#b86e01", "#a23b72"];

const KINDS: [Colour; 6] = ["#7a5cc0", "#c0504a", "#b08914", "#2a8f8a", "#6b7f3a", "#4a74a8"];

/// Every light colour that plots use, with the one that replaces it on a dark page.
pub const DARK: [(Colour, Colour); 15] = [
    (OK, "#6fb3f0"),
    (FAIL, "#f583b6"),
    (INFO, "#f2b04e"),
    (TEXT, "#98a2b0"),
    (MESH, "#2a313b"),
    (QUANTILES[0], "#6fb3f0"),
    (QUANTILES[1], "#98d07a"),
    (QUANTILES[2], "#f2b04e"),
    (QUANTILES[3], "#ee8fc0"),
    (KINDS[0], "#a68df0"),
    (KINDS[1], "#ef8781"),
    (KINDS[2], "#dfba4a"),
    (KINDS[3], "#5cc8c2"),
    (KINDS[4], "#a9c26a"),
    (KINDS[5], "#84ace0"),
];

/// The colour of a kind of fault: the same for the same place among the run's kinds.
pub fn kind_colour(place: usize) -> Colour {
    KINDS[place % KINDS.len()]
}

/// As plotters wants it.
pub fn rgb(colour: Colour) -> RGBColor {
    let byte = |at: usize| u8::from_str_radix(&colour[at..at + 2], 16).expect("the palette is hexadecimal");
    RGBColor(byte(1), byte(3), byte(5))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance (WCAG 2.1).
    fn luminance(colour: &str) -> f64 {
        let channel = |at: usize| {
            let c = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
            if c <= 0.03928 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    }

    #[test]
    fn every_colour_but_the_mesh_stands_out_from_its_page() {
        let contrast = |a: f64, b: f64| (a.max(b) + 0.05) / (a.min(b) + 0.05);
        for (light, dark) in DARK.iter().filter(|(light, _)| *light != MESH) {
            assert!(contrast(luminance(light), luminance("#ffffff")) >= 3.0, "{light} on white");
            assert!(contrast(luminance(dark), luminance("#14181e")) >= 4.5, "{dark} on dark");
        }
    }

    #[test]
    fn every_colour_has_one_twin() {
        let mut seen: Vec<_> = DARK.iter().map(|(light, _)| light).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), DARK.len());
        for colour in [OK, FAIL, INFO, TEXT, MESH].iter().chain(&QUANTILES).chain(&KINDS) {
            assert!(seen.contains(&colour), "{colour}");
        }
    }
}
