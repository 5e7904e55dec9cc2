//! Distances on the globe, in a form that a database without trigonometry can compare.
//!
//! A place is a point on the unit sphere. The distance along the ground grows with the straight line through the globe, and that
//! line's square is a sum of three squared differences. So "within r kilometres" is `dx² + dy² + dz² <= (2 sin(r / 2R))²`: the
//! haversine formula, with its sines and cosines taken when a row is written and when a question is asked. There is no special
//! case at the poles or at the date line, and it is exact to well under a millimetre.

use super::list::Near;

/// The globe's mean radius in kilometres (IUGG).
const EARTH_RADIUS_KM: f64 = 6371.0088;

/// A place on the unit sphere.
pub(crate) fn unit_vector(latitude: f64, longitude: f64) -> [f64; 3] {
    let (lat, lon) = (latitude.to_radians(), longitude.to_radians());
    [lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin()]
}

/// A circle as it is bound: what must hold for a place to lie in it.
pub(crate) struct Circle {
    pub centre: [f64; 3],
    /// The square of the straight line from the centre to the rim.
    pub chord_squared: f64,
    /// Latitudes outside of this cannot lie in it; with a little room for rounding.
    pub latitudes: (f64, f64),
}

impl From<&Near> for Circle {
    fn from(near: &Near) -> Self {
        let angle = near.radius_km / EARTH_RADIUS_KM;
        // Half round the globe is everywhere.
        let half_chord = if angle >= std::f64::consts::PI { 1.0 } else { (angle / 2.0).sin() };
        let room = angle.to_degrees() + 1e-6;
        let whole = if angle >= std::f64::consts::PI { 1e-9 } else { 0.0 };
        Self {
            centre: unit_vector(near.latitude, near.longitude),
            chord_squared: 4.0 * half_chord * half_chord + whole,
            latitudes: (near.latitude - room, near.latitude + room),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HANOI: (f64, f64) = (21.0285, 105.8542);
    const SAIGON: (f64, f64) = (10.8231, 106.6297);

    fn within(from: (f64, f64), to: (f64, f64), radius_km: f64) -> bool {
        let circle = Circle::from(&Near { latitude: from.0, longitude: from.1, radius_km });
        let place = unit_vector(to.0, to.1);
        let chord: f64 = place.iter().zip(circle.centre).map(|(a, b)| (a - b) * (a - b)).sum();
        circle.latitudes.0 <= to.0 && to.0 <= circle.latitudes.1 && chord <= circle.chord_squared
    }

    fn haversine_km(from: (f64, f64), to: (f64, f64)) -> f64 {
        let (a, b) = ((to.0 - from.0).to_radians(), (to.1 - from.1).to_radians());
        let h = (a / 2.0).sin().powi(2) + from.0.to_radians().cos() * to.0.to_radians().cos() * (b / 2.0).sin().powi(2);
        2.0 * EARTH_RADIUS_KM * h.sqrt().asin()
    }

    #[test]
    fn the_rim_lies_where_haversine_says() {
        for (from, to) in [
            (HANOI, SAIGON),
            (HANOI, (21.0286, 105.8543)),
            ((89.9, 0.0), (89.9, 180.0)),
            ((0.0, 179.99), (0.0, -179.99)),
            ((52.52, 13.405), (-33.87, 151.21)),
        ] {
            let distance = haversine_km(from, to);
            assert!(within(from, to, distance * (1.0 + 1e-9) + 1e-9), "{from:?} {to:?} {distance}");
            assert!(!within(from, to, distance * (1.0 - 1e-6)), "{from:?} {to:?} {distance}");
        }
        assert!(within(HANOI, HANOI, 0.0));
        assert!(within(HANOI, (-21.0285, -74.1458), 20_100.0), "half round the globe is everywhere");
    }
}
