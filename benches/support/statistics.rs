/// The middle one of the values; the lower of the two middle ones of an even number.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    quantile(values, 0.5)
}

/// The value that the share `q` (0 to 1) of all values do not exceed.
pub(crate) fn quantile(values: impl IntoIterator<Item = f64>, q: f64) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    assert!(!values.is_empty(), "there is nothing to take the median of");
    values.sort_by(f64::total_cmp);
    let at = (values.len() - 1) as f64 * q;
    values[at as usize]
}
