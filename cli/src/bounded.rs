//! Files that a person names: read whole, but never more of them than any such file needs.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// A Canary with all its templates, and a release's status, take a hundredth of it.
pub(crate) const BYTES_MAX: u64 = 1 << 20;

/// The text of a file of at most [`BYTES_MAX`] bytes. A pipe will do; what never ends is not read to its end.
pub(crate) fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > BYTES_MAX {
        let text = format!("it is longer than {} KiB", BYTES_MAX >> 10);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    String::from_utf8(bytes)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_the_greatest_length_is_read_and_a_longer_one_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let most = usize::try_from(BYTES_MAX).unwrap();
        std::fs::write(file.path(), vec![b'x'; most]).unwrap();
        assert_eq!(read(file.path()).unwrap().len(), most);
        std::fs::write(file.path(), vec![b'x'; most + 1]).unwrap();
        assert_eq!(read(file.path()).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        std::fs::write(file.path(), [0xff]).unwrap();
        assert_eq!(read(file.path()).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
