"""Where images come from: built-in sets, downloads, and a person's own folders and zips, read as they lie."""
