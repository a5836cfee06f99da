"""What a data set looks like in a few small images: its own where they are on this machine, else drawn ones."""

from urllib.parse import quote

from core.data.browse import some_of
from core.data.catalogue import DATASETS
from core.data.imports import imported_sets
from core.data.sets import own_store
from core.errors import InputError
from pages._routes import image_url
from pages.shared.session import workspace

# on a field of 24 × 24, drawn by us
DIGITS = (
    "M17 4H9L8 11C12 9 17 11 16.5 15.5 16 20 10 21 7 18",
    "M12 4C6 4 6 20 12 20 18 20 18 4 12 4Z",
    "M14 20V4L6 15H18",
    "M10 6L13 4V20",
)
THINGS = (
    "M12 2L14 9 22 13V15L14 13 13.5 19 16 21V22L12 21 8 22V21L10.5 19 10 13 2 15V13L10 9Z",
    "M3 16L4 11 7 7H17L20 11 21 16V18H19A2 2 0 0 1 15 18H9A2 2 0 0 1 5 18H3Z",
    "M2 15H22L19 21H5ZM6 14V9H18V14ZM10 8V4H13V8Z",
    "M5 4L9 8H15L19 4V14A7 7 0 0 1 5 14Z",
)
LETTERS = (
    "M5 21L12 3 19 21M8 14H16",
    "M7 3V21H13A4.5 4.5 0 0 0 13 12H7M13 12A4 4 0 0 0 13 3H7",
    "M18 6A7 8.5 0 1 0 18 18",
    "M7 3V21H17",
)
KANA = (
    "M13 5C6 6 4 13 6 17 9 20 13 12 13 5 20 6 22 16 14 20",
    "M9 3V15C9 20 15 21 19 15",
    "M3 9C10 5 20 5 20 12 20 17 14 19 9 19",
    "M16 3L8 12 16 21",
)
CLOTHES = (
    "M8 3L3 6 5 10 7 9V21H17V9L19 10 21 6 16 3A4 3 0 0 1 8 3Z",
    "M7 3H17L18 21H13.5L12 9 10.5 21H6Z",
    "M3 9C6 12 9 10 10 8L14 13 20 14A3 3 0 0 1 22 18H3Z",
    "M8 4L5 21H19L16 4 14 7H10Z",
)
INSECTS = (
    "M12 2A2.5 2.5 0 0 1 12 7 2.5 2.5 0 0 1 12 2ZM12 8A2 2 0 0 1 12 12 2 2 0 0 1 12 8Z"
    "M12 13A3.5 4.5 0 0 1 12 22 3.5 4.5 0 0 1 12 13ZM5 8L19 12 19 13 5 9ZM19 8L5 12 5 13 19 9Z",
    "M12 6A4 7 0 0 1 12 20 4 7 0 0 1 12 6ZM8 6A4 3 0 0 1 4 11 3 3 0 0 1 8 6ZM16 6A4 3 0 0 0 20 11 3 3 0 0 0 16 6Z",
)
LANDSCAPE = "M1 21L8 9 12 15 15 11 23 21ZM17 3A2.5 2.5 0 0 1 17 8 2.5 2.5 0 0 1 17 3Z"
PHOTOGRAPHS = (LANDSCAPE, THINGS[3], INSECTS[1], THINGS[2])
FILES = (
    "M6 1H15L19 5V23H6Z",
    "M12 2L22 7 12 12 2 7ZM2 11L12 16 22 11V13.5L12 18.5 2 13.5ZM2 16L12 21 22 16V18.5L12 23.5 2 18.5Z",
    "M5 5H19V19H5ZM8 1H10V4H8ZM14 1H16V4H14ZM8 20H10V23H8ZM14 20H16V23H14ZM1 8H4V10H1ZM1 14H4V16H1ZM20 8H23V10H20ZM20 14H23V16H20Z",
    "M10 2H14V11H19L12 19 5 11H10ZM4 20H20V22H4Z",
)
DRAWN = {
    "digits": DIGITS,
    "mnist": DIGITS,
    "kmnist": KANA,
    "emnist-letters": LETTERS,
    "emnist-balanced": LETTERS,
    "svhn": DIGITS,
    "fashion-mnist": CLOTHES,
    "cifar10": THINGS,
    "cifar100": THINGS[::-1],
    "ants-bees": INSECTS,
    "file": FILES,
}
FIELDS = ("#31688e", "#6b4c9a", "#35766d", "#8c5a2b")


def thumbnails(dataset: str, count: int = 4) -> tuple[str, ...]:
    """Addresses of that many images of different classes; of drawn ones where the set is not on this machine."""
    try:
        store = own_store(workspace(), dataset) if dataset in DATASETS or dataset in imported_sets(workspace()) else None
    except InputError:  # a set that is gone
        store = None
    if store is None:
        return tuple(drawn(path, number, dataset) for number, path in enumerate(DRAWN.get(dataset, PHOTOGRAPHS)[:count]))
    return tuple(image_url(store.path.name, index) for index in some_of(store, count))


def drawn(path: str, number: int, dataset: str) -> str:
    """A drawing as an address."""
    is_stroke = path in (*DIGITS, *LETTERS, *KANA)
    field = "#000" if is_stroke else FIELDS[number % len(FIELDS)]
    look = "fill='none' stroke='#fff' stroke-width='2.4' stroke-linecap='round'" if is_stroke else "fill='#fff'"
    svg = (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='-3 -3 30 30' width='60' height='60'>"
        f"<rect x='-3' y='-3' width='30' height='30' fill='{field}'/><path d='{path}' {look}/></svg>"
    )
    return f"data:image/svg+xml,{quote(svg)}"
