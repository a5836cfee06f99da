"""The Compare page: several runs side by side, two of them image by image."""
