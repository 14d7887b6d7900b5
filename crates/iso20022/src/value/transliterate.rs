//! What stands for a character that SEPA orders cannot carry. One table, so that it can be read as a whole.

/// Letters to the left of what stands for each of them.
const LETTERS: &[(&str, &str)] = &[
    ("ÀÁÂÃÄÅĀĂĄ", "A"),
    ("àáâãäåāăą", "a"),
    ("ÇĆĈĊČ", "C"),
    ("çćĉċč", "c"),
    ("ÐĎĐ", "D"),
    ("ðďđ", "d"),
    ("ÈÉÊËĒĔĖĘĚ", "E"),
    ("èéêëēĕėęě", "e"),
    ("ĜĞĠĢ", "G"),
    ("ĝğġģ", "g"),
    ("ĤĦ", "H"),
    ("ĥħ", "h"),
    ("ÌÍÎÏĨĪĬĮİ", "I"),
    ("ìíîïĩīĭįı", "i"),
    ("Ĵ", "J"),
    ("ĵ", "j"),
    ("Ķ", "K"),
    ("ķĸ", "k"),
    ("ĹĻĽĿŁ", "L"),
    ("ĺļľŀł", "l"),
    ("ÑŃŅŇŊ", "N"),
    ("ñńņňŋ", "n"),
    ("ÒÓÔÕÖØŌŎŐ", "O"),
    ("òóôõöøōŏő", "o"),
    ("ŔŖŘ", "R"),
    ("ŕŗř", "r"),
    ("ŚŜŞŠȘ", "S"),
    ("śŝşšș", "s"),
    ("ŢŤŦȚ", "T"),
    ("ţťŧț", "t"),
    ("ÙÚÛÜŨŪŬŮŰŲ", "U"),
    ("ùúûüũūŭůűų", "u"),
    ("Ŵ", "W"),
    ("ŵ", "w"),
    ("ÝŶŸ", "Y"),
    ("ýÿŷ", "y"),
    ("ŹŻŽ", "Z"),
    ("źżž", "z"),
    ("ẞ", "SS"),
    ("ß", "ss"),
    ("Æ", "AE"),
    ("æ", "ae"),
    ("Œ", "OE"),
    ("œ", "oe"),
    ("Þ", "TH"),
    ("þ", "th"),
];

/// Signs to the left of what stands for each of them.
const SIGNS: &[(&str, &str)] = &[
    ("&", "+"),
    ("_~‐‑‒–—―−", "-"),
    ("\"`´‘’‚‛“”„‟«»‹›", "'"),
    (";", ","),
    ("!*·•…", "."),
    ("[{<", "("),
    ("]}>", ")"),
    ("\\|", "/"),
    ("@", "(at)"),
    ("€", "EUR"),
];

/// What stands for this character; `None` if nothing does, or if it can stay.
pub(super) fn transliterate(c: char) -> Option<&'static str> {
    if c.is_ascii_alphanumeric() || c == ' ' {
        return None;
    }
    LETTERS.iter().chain(SIGNS).find(|(these, _)| these.contains(c)).map(|(_, instead)| *instead)
}
