//! Pictures that lie in folders.

use std::path::Path;

/// The files below `dir`, in the order of their names; hidden ones are left out.
pub fn below(dir: &Path) -> Vec<String> {
    let mut files = Vec::new();
    walk(dir, &mut files);
    files.sort();
    files
}

/// A folder that cannot be read stands for itself, so that it has a line which
/// says so.
fn walk(dir: &Path, files: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(dir) else {
        files.push(dir.to_string_lossy().into_owned());
        return;
    };
    for entry in entries.filter_map(Result::ok) {
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => walk(&path, files),
            _ => files.push(path.to_string_lossy().into_owned()),
        }
    }
}
