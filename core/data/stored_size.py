"""At which size a set is stored beside those its images came in, and what a larger or smaller one would cost, in words."""

from dataclasses import dataclass

import numpy as np

from core.data.sources.own_images import DEFAULT_SIZE_PX
from core.data.store.image_store import ImageStore

USUAL_PX = 224  # the side that networks for photographs are made for; more is not proposed
NOTICEABLE = 1.25


@dataclass(frozen=True, kw_only=True)
class StoredSize:
    """usual, stored: width and height. proposed_px: a side worth trying, 0 where none is."""

    num_sizes: int
    usual: tuple[int, int]
    stored: tuple[int, int]
    proposed_px: int = 0

    @property
    def times(self) -> float:
        """How much longer an epoch takes at the proposed size: as many times as there are more pixels, about."""
        return self.proposed_px**2 / (self.stored[0] * self.stored[1])

    def sentence(self, choose: str = "An image size of {px} px") -> str:
        """choose: how a person would have it otherwise. Empty where the images are small and stored as they came."""
        usual, stored = _size(self.usual), _size(self.stored)
        if self.num_sizes == 1 and self.usual == self.stored:
            found = f"All images have {usual} px and are stored so." if self.proposed_px else ""
        elif self.num_sizes == 1:
            found = f"All images have {usual} px, stored at {stored}."
        else:
            found = f"Images have {self.num_sizes:,} sizes, {usual} px most often; stored at {stored}."
        if not self.proposed_px:
            return found
        more, times = self.times > 1, max(self.times, 1 / self.times)
        cost = f"{'more' if more else 'less'} and train about {times:.{0 if times >= 2 else 1}f} times {'slower' if more else 'faster'}"
        return f"{found} {choose.format(px=self.proposed_px)} would show {cost}."


def stored_size(store: ImageStore) -> StoredSize | None:
    """None for a set that comes as arrays."""
    if store.files is None:
        return None
    sizes, counts = np.unique(store.sizes, axis=0, return_counts=True)
    width, height = sizes[counts.argmax()].tolist()
    stored = (store.meta.shape[2], store.meta.shape[1])
    larger = min(width, height, USUAL_PX)
    proposed = DEFAULT_SIZE_PX if min(stored) > NOTICEABLE * DEFAULT_SIZE_PX else 0
    if larger > NOTICEABLE * min(stored):
        proposed = larger
    return StoredSize(num_sizes=len(sizes), usual=(width, height), stored=stored, proposed_px=proposed)


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]} × {size[1]}"
