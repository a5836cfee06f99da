"""The Data page: sets, their images, report, splits and transforms."""
