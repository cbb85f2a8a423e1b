//! Why Envoy itself ended a stream, in the short words of its access log.

/// Each bit's word, from the lowest. Bits that Envoy may add later have none and are left out.
const WORDS: [&str; 30] = [
    "LH", "UH", "UT", "LR", "UR", "UF", "UC", "UO", "NR", "DI", "FI", "RL", "UAEX", "RLSE", "DC",
    "URX", "SI", "IH", "DPE", "UMSDR", "RFCF", "NFCF", "DT", "UPE", "NC", "OM", "DF", "DO", "DR",
    "UDO",
];

/// The words of all bits that are set, with commas between them; `-` if there are none.
pub fn short(flags: u64) -> String {
    let set = |bit: &usize| flags >> bit & 1 == 1;
    let words = WORDS.iter().enumerate().filter(|(bit, _)| set(bit)).map(|(_, word)| *word);
    let words = words.collect::<Vec<_>>().join(",");
    if words.is_empty() { "-".to_owned() } else { words }
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn bits_are_the_words_of_the_access_log() {
        assert_eq!(short(0), "-");
        assert_eq!(short(0x2), "UH");
        assert_eq!(short(0x40), "UC");
        assert_eq!(short(0x100), "NR");
        assert_eq!(short(0x4000), "DC");
        assert_eq!(short(0x0080_0000), "UPE");
        assert_eq!(short(0x8000 | 0x40), "UC,URX");
        assert_eq!(short(1 << 63), "-", "a bit of the future");
    }
}
