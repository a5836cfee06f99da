"""Measurements, run by hand; nothing here is asserted by a test. Each prints ratios from one interleaved run."""


def delivered(store, config):
    """The store's pictures divided as this configuration says, without edits."""
    from core.data.splits import Division, split_indices

    splits = split_indices(store.labels, store.meta.splits, config.data, groups=store.duplicates.groups)
    return Division(store.labels, splits)
